"""How well an exported segmenter segments: panoptic quality, mask precision, mean IoU."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
import torch

from exporters.segmentation_data import UnseenSegments
from exporters.segmentation_graph import OUTPUTS, THRESHOLDS
from exporters.session import CpuSession
from models.segmentation import SegmenterSpec
from models.segmentation.fusion import Panoptic
from models.segmentation.measures import SegmentMeasures
from models.segmentation.segmenting import Shown, in_images

EVALUATION_BATCH: Final = 16


def measure_segments(
    graph: Path, spec: SegmenterSpec, unseen: UnseenSegments, shown: Shown
) -> dict[str, float]:
    """The figures that are defined for these images, of the graph run by ONNX Runtime with the
    thresholds that a server takes if nobody says otherwise."""
    session = CpuSession(graph)
    measures = SegmentMeasures(spec.is_thing)
    for start in range(0, len(unseen), EVALUATION_BATCH):
        pixels = unseen.pixels(spec, start, start + EVALUATION_BATCH)
        given = {
            name: np.full(len(pixels), value, np.float32)
            for name, value in zip(THRESHOLDS, shown, strict=True)
        }
        outputs = session.run({"image": pixels, **given})
        fused = Panoptic(*(torch.from_numpy(outputs[name]) for name in OUTPUTS))
        indices = unseen.indices[start : start + len(pixels)]
        for found in in_images(fused, spec, unseen.images, indices):
            measures.add(unseen.images.truth(found.image), found)
    return {name: v for name, v in measures.figures().items() if not math.isnan(v)}
