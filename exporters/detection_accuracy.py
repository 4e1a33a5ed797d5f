"""How well an exported detector detects, by COCO's measures.

B batch, K detections.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np
import torch

from exporters.detection_data import UnseenImages
from exporters.session import CpuSession
from models.detection import Detections, DetectorSpec
from models.detection.boxes import clip_to
from models.detection.detecting import EVALUATION_THRESHOLD
from models.detection.measures import average_precision
from models.detection.windows import boxes_to_image, fit_windows
from service.bundle import Tensors

EVALUATION_BATCH: Final = 16


def measure_detections(graph: Path, spec: DetectorSpec, unseen: UnseenImages) -> dict[str, float]:
    """COCO's figures that are defined for these images, of the graph run by ONNX Runtime."""
    session = CpuSession(graph)
    found: list[Detections] = []
    for start in range(0, len(unseen), EVALUATION_BATCH):
        pixels = unseen.pixels(spec, start, start + EVALUATION_BATCH)
        inputs: Tensors = {
            "image": pixels,
            "score_threshold": _column(EVALUATION_THRESHOLD, pixels),
        }
        if spec.needs_nms:
            inputs["iou_threshold"] = _column(spec.nms_iou, pixels)
        found += _in_images(session.run(inputs), spec, unseen, start)
    truths = [unseen.images.truth(int(index)) for index in unseen.indices]
    figures = average_precision(truths, found, len(spec.labels)).figures
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def _column(value: float, pixels: np.ndarray) -> np.ndarray:
    return np.full((len(pixels), 1), value, np.float32)


def _in_images(
    outputs: Tensors, spec: DetectorSpec, unseen: UnseenImages, start: int
) -> list[Detections]:
    """The graph's answers, in pixels of the images."""
    boxes = torch.from_numpy(outputs["boxes"])  # [B, K, 4]
    sizes_px = unseen.images.sizes_px(unseen.indices[start : start + len(boxes)])  # [B, 2]
    windows = fit_windows(sizes_px, spec.input_size, spec.fit)
    boxes = boxes_to_image(boxes, windows, spec.input_size)
    scores, labels = torch.from_numpy(outputs["scores"]), torch.from_numpy(outputs["labels"])
    return [
        Detections(
            clip_to(boxes[index, :count], (height, width)),
            scores[index, :count],
            labels[index, :count].long(),
        )
        for index, (count, (width, height)) in enumerate(
            zip(outputs["count"][:, 0].tolist(), sizes_px.tolist(), strict=True)
        )
    ]
