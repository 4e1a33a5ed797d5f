"""What a detector got wrong in an image, for people to look at."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.data.boxed import BoxTruth
from models.detection.boxes import area, pairwise_iou
from models.detection.postprocess import Detections

# Legend: n true boxes of an image, D detections.


@dataclass(frozen=True)
class Mistakes:
    """The sure detections of one image, set against the truth."""

    found: Detections  # D of them, all sure
    is_right: Tensor  # [D] bool
    is_missed: Tensor  # [n] bool, of the truth's boxes

    @property
    def weight(self) -> float:
        """How bad: every miss counts one, every wrong detection as much as it was sure."""
        return float(self.is_missed.sum()) + float(self.found.scores[~self.is_right].sum())


def find_mistakes(
    truth: BoxTruth, found: Detections, *, score_threshold: float = 0.3, least_iou: float = 0.5
) -> Mistakes:
    """The surest detection takes the best free box of its label; what lies in a crowd is right."""
    sure = found.scores >= score_threshold
    found = Detections(*(column[sure] for column in found))
    iou = pairwise_iou(found.boxes_xyxy, truth.boxes_xyxy_px)  # [D, n]
    iou = iou * (found.labels[:, None] == truth.labels)
    is_free = ~truth.is_crowd
    is_right = torch.zeros(len(iou), dtype=torch.bool)
    for row in found.scores.argsort(descending=True).tolist():
        candidates = iou[row] * is_free
        if len(candidates) and candidates.max() >= least_iou:
            is_right[row] = True
            is_free[candidates.argmax()] = False
    return Mistakes(found, is_right | _in_crowd(truth, found, least_iou), is_free)


def _in_crowd(truth: BoxTruth, found: Detections, least_share: float) -> Tensor:
    """Detections of which at least this share lies in a crowd of their label: bool [D]."""
    crowds = truth.boxes_xyxy_px[truth.is_crowd]
    same = found.labels[:, None] == truth.labels[truth.is_crowd]  # [D, crowds]
    low = torch.maximum(found.boxes_xyxy[:, None, :2], crowds[:, :2])
    high = torch.minimum(found.boxes_xyxy[:, None, 2:], crowds[:, 2:])
    shared = (high - low).clamp_min(0).prod(2)  # [D, crowds]
    share = shared / area(found.boxes_xyxy).clamp_min(1e-6)[:, None]
    return ((share >= least_share) & same).any(1)
