"""Golden inputs for segmenters: those whose answer does not hang by a digit.

Where a score, an area or a rival is almost at a threshold, a correct engine may leave a segment out
or give it another label: such an input proves nothing. Edges may move by a cell anywhere.
M images, Q rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from exporters.drift import FLOOR
from exporters.images import GOLDEN_IMAGES, Pixels, synthetic_images
from exporters.segmentation_graph import THRESHOLDS, SegmentationGraph
from models.segmentation.decoder import Answer
from models.segmentation.fusion import Panoptic, fuse
from models.segmentation.fusion import Thresholds as Given
from service.bundle import Tensors
from service.bundle.manifest import Precision

REAL_IMAGES: Final = 6
SHAKES: Final = 4
OVERLAPS: Final = (0.8, 0.5, 0.65, 0.4)
MIN_AREAS: Final = (0.0, 0.001, 0.0005, 0.002)
LOGIT_SCALE: Final = 8.0
"""How large logits are: the precision's floor is relative to it."""
NOTHING: Final = 1.5
"""A score threshold that no score reaches."""
MAP_SHARE: Final = 0.01
"""How many cells of a map may belong elsewhere in another engine: those along the edges."""
BOX_SHARE: Final = 0.05
"""How far a box may be off, in sides of the input: a stray cell makes it larger."""


@dataclass(frozen=True)
class GoldenInputs:
    """Inputs of a segmenter's graph, and how many segments they have in all."""

    tensors: Tensors
    segments: int


@dataclass(frozen=True)
class _Sample:
    image: Pixels  # [H, W, 3]
    thresholds: tuple[float, float, float]
    segments: int


def choose_golden(
    graph: SegmentationGraph, scenes: Pixels | None, precision: Precision
) -> GoldenInputs:
    """Eight inputs: the scenes [M, H, W, 3] with most to see, then synthetic images.

    Each has thresholds of its own, at which its rows are the same when every logit is moved by what
    another engine may differ. Where that leaves nothing, as in a network that has learnt little,
    they are moved by less.
    """
    height, width = graph.spec.input_size
    if scenes is None:
        scenes = np.empty((0, height, width, 3), np.uint8)
    synthetic = synthetic_images(height, width, GOLDEN_IMAGES)
    for part in (1.0, 0.1, 0.01):
        slack = FLOOR[precision] * LOGIT_SCALE * part
        real = [_measure(graph, image, slack, number) for number, image in enumerate(scenes)]
        made = [_measure(graph, image, slack, number) for number, image in enumerate(synthetic)]
        chosen = sorted(real, key=lambda one: -one.segments)[:REAL_IMAGES]
        chosen += made[: GOLDEN_IMAGES - len(chosen)]
        if segments := sum(one.segments for one in chosen):
            break
    tensors: Tensors = {"image": np.stack([one.image for one in chosen])}
    columns = zip(*(one.thresholds for one in chosen), strict=True)
    tensors |= {
        name: np.array(values, np.float32) for name, values in zip(THRESHOLDS, columns, strict=True)
    }
    return GoldenInputs(tensors, segments)


def _measure(graph: SegmentationGraph, image: Pixels, slack: float, number: int) -> _Sample:
    """The image with the lowest score threshold that leaves a steady answer."""
    with torch.inference_mode():
        (answer,) = graph.network(torch.from_numpy(image[None]))
    overlap, min_area = OVERLAPS[number % 4], MIN_AREAS[number % 4]
    scores = answer.class_logits.softmax(-1)[0, :, :-1].amax(1)
    for score in _gaps(scores, slack):
        thresholds = (score, overlap, min_area)
        expected = _fuse(graph, answer, thresholds)
        if int(expected.counts) and all(
            _alike(expected, _fuse(graph, moved, thresholds), graph)
            for moved in _shaken(answer, slack)
        ):
            return _Sample(image, thresholds, int(expected.counts))
    return _Sample(image, (NOTHING, overlap, min_area), 0)


def _gaps(scores: Tensor, slack: float) -> Iterator[float]:
    """The middles of wide gaps between scores above chance, from the lowest."""
    ladder = sorted({1.0, *scores[scores > 0.3].tolist()})
    for low, high in zip([0.3, *ladder], ladder, strict=False):
        if high - low > 2 * slack:
            yield round((low + high) / 2, 4)


def _shaken(answer: Answer, slack: float) -> Iterator[Answer]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(SHAKES):
        moved = (
            part + slack * (torch.rand(part.shape, generator=generator) * 2 - 1) for part in answer
        )
        yield Answer(*moved)


def _alike(expected: Panoptic, found: Panoptic, graph: SegmentationGraph) -> bool:
    """The same rows, and maps that differ in less than half of what is allowed."""
    far = (expected.boxes_xyxy - found.boxes_xyxy).abs().max()
    return (
        torch.equal(expected.counts, found.counts)
        and torch.equal(expected.labels, found.labels)
        and float((expected.ids != found.ids).float().mean()) < MAP_SHARE / 2
        and float((expected.semantic != found.semantic).float().mean()) < MAP_SHARE / 2
        and float(far) < BOX_SHARE / 2 * max(graph.spec.input_size)
    )


def _fuse(
    graph: SegmentationGraph, answer: Answer, thresholds: tuple[float, float, float]
) -> Panoptic:
    given = Given(*(torch.tensor([value]) for value in thresholds))
    with torch.inference_mode():
        return fuse(answer, graph.spec, given, graph.map_size)
