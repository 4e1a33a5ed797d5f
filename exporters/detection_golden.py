"""Golden inputs for detectors: those whose answer does not hang by a digit.

An answer is a sorted list of what passed thresholds. Where two scores are nearly equal, or a score
is nearly the threshold, a correct engine may give another list: such an input proves nothing.
M images, B of a sample, N candidates, C classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from exporters.detection_graph import Found, Selection
from exporters.drift import FLOOR
from exporters.images import GOLDEN_IMAGES, Pixels, synthetic_images
from models.detection import Candidates
from service.bundle import Tensors
from service.bundle.manifest import Precision

REAL_IMAGES: Final = 6
SHAKES: Final = 6
IOU_THRESHOLDS: Final = (0.5, 0.3, 0.7, 0.4)
NOTHING: Final = 1.0
"""A score threshold that no score exceeds."""


@dataclass(frozen=True)
class GoldenInputs:
    """Inputs of a detector's graph, and how many detections they have in all."""

    tensors: Tensors
    detections: int


@dataclass(frozen=True)
class Slack:
    """How far candidates are moved to see whether the answer stays."""

    score: float
    pixels: float


def choose_golden(
    network: nn.Module, selection: Selection, scenes: Pixels | None, precision: Precision
) -> GoldenInputs:
    """Eight inputs: the scenes [M, H, W, 3] with most to see, then synthetic images.

    Each has the lowest score threshold at which its answer is the same when every candidate's
    score and box are moved by what another engine may differ. Where that leaves nothing to be
    found, as in a network that has learnt little, they are moved by less.
    """
    height, width = selection.size
    slack = Slack(FLOOR[precision], FLOOR[precision] * max(height, width))
    synthetic = synthetic_images(height, width, GOLDEN_IMAGES)
    if scenes is None:
        scenes = np.empty((0, height, width, 3), np.uint8)
    for part in (1.0, 0.1, 0.01):
        shaken = Slack(slack.score * part, slack.pixels * part)
        real = _measure(network, selection, scenes, shaken)
        made = _measure(network, selection, synthetic, shaken)
        chosen = sorted(real, key=lambda one: -one.detections)[:REAL_IMAGES]
        chosen += made[: GOLDEN_IMAGES - len(chosen)]
        if detections := sum(one.detections for one in chosen):
            break
    thresholds = {
        "score_threshold": [one.score_threshold for one in chosen],
        "iou_threshold": [one.iou_threshold for one in chosen],
    }
    tensors: Tensors = {"image": np.stack([one.image for one in chosen])}
    tensors |= {
        name: np.array(thresholds[name], np.float32)[:, None] for name in selection.inputs[1:]
    }
    return GoldenInputs(tensors, detections)


@dataclass(frozen=True)
class _Sample:
    image: Pixels  # [H, W, 3]
    score_threshold: float
    iou_threshold: float
    detections: int


def _measure(
    network: nn.Module, selection: Selection, images: Pixels, slack: Slack
) -> list[_Sample]:
    """Each image with its best threshold. One by one: a batch of large images is large."""
    samples = []
    for index, image in enumerate(images):
        with torch.inference_mode():
            candidates = network(torch.from_numpy(image[None]))
        iou = IOU_THRESHOLDS[index % len(IOU_THRESHOLDS)]
        threshold, detections = _steady_threshold(candidates, selection, iou, slack)
        samples.append(_Sample(image, threshold, iou, detections))
    return samples


def _steady_threshold(
    candidates: Candidates, selection: Selection, iou: float, slack: Slack
) -> tuple[float, int]:
    """The score threshold that leaves most and still a steady answer, and how many it leaves."""
    everything = _select(selection, candidates, 0.0, iou)
    scores = everything.scores[0, : int(everything.number)].tolist()
    for least, threshold in _gaps([*scores, 0.0], 4 * slack.score):
        expected = _select(selection, candidates, threshold, iou)
        if int(expected.number) == least and all(
            _alike(expected, _select(selection, moved, threshold, iou), slack)
            for moved in _shaken(candidates, slack)
        ):
            return threshold, least
    return NOTHING, 0


def _gaps(scores: list[float], gap: float) -> Iterator[tuple[int, float]]:
    """Counts from the highest, and the middles of the gaps below them, while all are wide."""
    wide = 0
    while wide + 1 < len(scores) and scores[wide] - scores[wide + 1] > gap:
        wide += 1
    # The last of `scores` is no detection: below it there is nothing to tell apart.
    for count in range(wide, 0, -1):
        yield count, (scores[count - 1] + scores[count]) / 2


def _shaken(candidates: Candidates, slack: Slack) -> Iterator[Candidates]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(SHAKES):
        by = torch.rand(candidates.scores.shape, generator=generator) * 2 - 1
        # A score of zero is none, whatever the engine: a peak that is not one, or padding.
        scores = candidates.scores + by * slack.score * (candidates.scores > 0)
        by = torch.rand(candidates.boxes_xyxy.shape, generator=generator) * 2 - 1
        yield Candidates(candidates.boxes_xyxy + by * slack.pixels, scores.clamp(0, 1))


def _alike(expected: Found, found: Found, slack: Slack) -> bool:
    return (
        torch.equal(expected.number, found.number)
        and torch.equal(expected.labels, found.labels)
        and bool((expected.scores - found.scores).abs().max() <= slack.score)
        and bool((expected.boxes - found.boxes).abs().max() <= slack.pixels)
    )


def _select(
    selection: Selection, candidates: Candidates, score_threshold: float, iou_threshold: float
) -> Found:
    with torch.inference_mode():
        return selection(candidates, _threshold(score_threshold), _threshold(iou_threshold))


def _threshold(value: float) -> Tensor:
    return torch.full((1, 1), value)
