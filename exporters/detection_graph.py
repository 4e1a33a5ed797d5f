"""Detectors as graphs: from an image and two thresholds to the boxes that are left.

B batch, H W pixels, N candidates, C classes, k those that suppression looks at, K detections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from models.detection import Candidates, DetectorSpec
from models.detection.boxes import clip_to
from models.detection.suppression import suppress

OUTPUTS: Final = ("boxes", "scores", "labels", "count")


class Found(NamedTuple):
    """The detections of each image, the surest first; rows from `number` on are zero."""

    boxes: Tensor  # [B, K, 4] float32, xyxy in pixels of the input, inside it
    scores: Tensor  # [B, K] float32
    labels: Tensor  # [B, K] int32
    number: Tensor  # [B, 1] int32, the output called "count"


@dataclass(frozen=True)
class Selection:
    """How candidates become detections. A candidate may count for several classes.

    The `candidates` with the highest scores, of all boxes and classes, are looked at; of equal
    ones the first by box, then by class. Suppression is within a class.
    """

    size: tuple[int, int]  # H, W
    needs_nms: bool
    max_detections: int
    candidates: int

    @classmethod
    def of(cls, spec: DetectorSpec, candidates: int) -> Selection:
        return cls(spec.input_size, spec.needs_nms, spec.max_detections, candidates)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the graph takes."""
        thresholds = (
            ("score_threshold", "iou_threshold") if self.needs_nms else ("score_threshold",)
        )
        return ("image", *thresholds)

    def __call__(
        self, found: Candidates, score_threshold: Tensor, iou_threshold: Tensor | None = None
    ) -> Found:
        """Thresholds are float32 [B, 1]; a detection scores more than its own."""
        flat = found.scores.float().flatten(1)  # [B, N * C]
        places = flat.shape[1]
        most = min(self.max_detections, places)  # K
        scores, order = flat.topk(min(self.candidates, places) if self.needs_nms else most)
        classes = found.scores.shape[2]
        boxes = _rows(found.boxes_xyxy.float(), order // classes)  # [B, k, 4]
        boxes, labels = clip_to(boxes, self.size), order % classes
        kept = scores > score_threshold  # [B, k]
        if self.needs_nms:
            assert iou_threshold is not None
            kept = kept & suppress(boxes, labels, iou_threshold[:, :, None])
            # Places, not scores: no two are equal, so that every engine sorts alike.
            place = torch.arange(scores.shape[1], 0, -1, device=scores.device)  # [k]
            ranked, first = (kept * place).float().topk(min(most, scores.shape[1]))  # [B, K]
            kept = ranked > 0
            boxes, labels, scores = (
                _rows(boxes, first),
                labels.gather(1, first),
                scores.gather(1, first),
            )
        return Found(
            torch.where(kept[:, :, None], boxes, 0.0),
            torch.where(kept, scores, 0.0),
            torch.where(kept, labels, 0).to(torch.int32),
            kept.sum(1, keepdim=True).to(torch.int32),
        )


class DetectionGraph(nn.Module):
    """A detector with its selection: what is exported."""

    def __init__(self, network: nn.Module, selection: Selection) -> None:
        super().__init__()
        self.network = network
        self.selection = selection

    def forward(
        self, image: Tensor, score_threshold: Tensor, iou_threshold: Tensor | None = None
    ) -> Found:
        """uint8 [B, H, W, 3] and float32 [B, 1], once or twice"""
        return self.selection(self.network(image), score_threshold, iou_threshold)


def _rows(table: Tensor, rows: Tensor) -> Tensor:
    """[B, N, 4] at [B, k] -> [B, k, 4]"""
    return table.gather(1, rows[:, :, None].expand(-1, -1, 4))
