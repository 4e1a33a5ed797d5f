"""RetinaNet's losses: focal over all anchors, box regression over the positive ones."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from models.detection.boxes import pairwise_iou
from models.detection.coding import decode_boxes, encode_boxes
from models.detection.detector import RawOutputs, Targets
from models.detection.losses import giou_loss, sigmoid_focal_loss, smooth_l1_loss
from models.detection.matching import BACKGROUND, IGNORED, match_by_iou
from models.detection.retinanet.spec import RetinaNetSpec

# Legend: B batch, K places for boxes, N anchors, C classes, P positive anchors of the batch.


@dataclass(frozen=True)
class RetinaNetLossSpec:
    """The paper's figures. `beta` is where smooth L1 turns straight, in units of codes."""

    alpha: float = 0.25
    gamma: float = 2.0
    background_iou: float = 0.4
    foreground_iou: float = 0.5
    box: Literal["smooth_l1", "giou"] = "smooth_l1"
    beta: float = 1 / 9
    box_weight: float = 1.0


class RetinaNetLoss:
    """Sums over the batch, divided by its number of positive anchors."""

    def __init__(self, spec: RetinaNetSpec, loss: RetinaNetLossSpec) -> None:
        self._spec = spec
        self._loss = loss

    def __call__(self, raw: RawOutputs, targets: Targets) -> dict[str, Tensor]:
        loss, anchors = self._loss, raw["anchors"]
        is_real = targets.labels >= 0  # [B, K]
        matched = match_by_iou(
            pairwise_iou(targets.boxes_xyxy, anchors),
            is_real,
            background=loss.background_iou,
            foreground=loss.foreground_iou,
        )  # [B, N]
        positive = matched > BACKGROUND
        count = positive.sum().clamp_min(1)
        labels = targets.labels.gather(1, matched.clamp_min(0)).where(positive, 0)
        wanted = F.one_hot(labels, len(self._spec.labels)) * positive[..., None]  # [B, N, C]
        focal = sigmoid_focal_loss(
            raw["class_logits"],
            wanted.to(raw["class_logits"].dtype),
            alpha=loss.alpha,
            gamma=loss.gamma,
        )
        class_loss = (focal * (matched != IGNORED)[..., None]).sum() / count
        box_loss = self._box_loss(raw, targets, matched, positive).sum() / count
        total = class_loss + loss.box_weight * box_loss
        return {"loss": total, "class": class_loss, "box": box_loss}

    def _box_loss(
        self, raw: RawOutputs, targets: Targets, matched: Tensor, positive: Tensor
    ) -> Tensor:
        """[P, 4] for smooth L1, [P] for GIoU."""
        image, row = positive.nonzero(as_tuple=True)  # [P] each
        truth = targets.boxes_xyxy[image, matched[image, row]]  # [P, 4]
        codes, anchors = raw["box_codes"][image, row], raw["anchors"][row]
        if self._loss.box == "giou":
            return giou_loss(decode_boxes(codes, anchors), truth)
        return smooth_l1_loss(codes, encode_boxes(truth, anchors), beta=self._loss.beta)
