"""Faster R-CNN's four losses: what and where, of the proposals and of the regions."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.detection.boxes import pairwise_iou
from models.detection.coding import Weights, encode_boxes
from models.detection.detector import RawOutputs, Targets
from models.detection.fasterrcnn.sampling import sample_balanced
from models.detection.fasterrcnn.spec import FasterRCNNSpec
from models.detection.losses import smooth_l1_loss
from models.detection.matching import BACKGROUND, match_by_iou

# Legend: B batch, N anchors, S sampled anchors, R sampled regions, C labels, P positives.


@dataclass(frozen=True)
class FasterRCNNLossSpec:
    """The papers' figures. `beta` is where smooth L1 turns straight, in units of codes."""

    background_iou: float = 0.3
    foreground_iou: float = 0.7
    sampled_anchors: int = 256
    sampled_foreground: float = 0.5
    beta: float = 1 / 9
    objectness_weight: float = 1.0
    proposal_weight: float = 1.0
    class_weight: float = 1.0
    box_weight: float = 1.0


class FasterRCNNLoss:
    """Means over the sampled anchors and over the sampled regions of the batch."""

    def __init__(self, spec: FasterRCNNSpec, loss: FasterRCNNLossSpec) -> None:
        self._spec = spec
        self._loss = loss

    def __call__(self, raw: RawOutputs, targets: Targets) -> dict[str, Tensor]:
        loss = self._loss
        objectness, proposal = self._proposal_losses(raw, targets)
        class_, box = self._region_losses(raw)
        total = (
            loss.objectness_weight * objectness
            + loss.proposal_weight * proposal
            + loss.class_weight * class_
            + loss.box_weight * box
        )
        return {
            "loss": total,
            "objectness": objectness,
            "proposal": proposal,
            "class": class_,
            "box": box,
        }

    def _proposal_losses(self, raw: RawOutputs, targets: Targets) -> tuple[Tensor, Tensor]:
        loss, anchors = self._loss, raw["anchors"]
        matched = match_by_iou(
            pairwise_iou(targets.boxes_xyxy, anchors),
            targets.labels >= 0,
            background=loss.background_iou,
            foreground=loss.foreground_iou,
        )  # [B, N]
        chosen, is_sampled = sample_balanced(
            matched > BACKGROUND,
            matched == BACKGROUND,
            count=loss.sampled_anchors,
            positive_share=loss.sampled_foreground,
        )  # [B, S]
        count = is_sampled.sum().clamp_min(1)
        owner = matched.gather(1, chosen)  # [B, S]
        positive = (owner > BACKGROUND) & is_sampled
        entropy = F.binary_cross_entropy_with_logits(
            raw["objectness"].gather(1, chosen),
            positive.to(raw["objectness"].dtype),
            reduction="none",
        )
        image, place = positive.nonzero(as_tuple=True)  # [P] each
        row = chosen[image, place]
        apart = _code_losses(
            raw["anchor_codes"][image, row],
            targets.boxes_xyxy[image, owner[image, place]],
            anchors[row],
            (1.0, 1.0, 1.0, 1.0),
            loss.beta,
        )
        return entropy.where(is_sampled, 0.0).sum() / count, apart.sum() / count

    def _region_losses(self, raw: RawOutputs) -> tuple[Tensor, Tensor]:
        is_sampled, labels = raw["is_real"], raw["region_labels"]  # [B, R] each
        count = is_sampled.sum().clamp_min(1)
        entropy = F.cross_entropy(raw["class_logits"].movedim(2, 1), labels, reduction="none")
        positive = is_sampled & (labels < self._spec.background)
        image, row = positive.nonzero(as_tuple=True)  # [P] each
        apart = _code_losses(
            raw["box_codes"][image, row, labels[image, row]],
            raw["region_truths"][image, row],
            raw["regions"][image, row],
            self._spec.box_weights,
            self._loss.beta,
        )
        return entropy.where(is_sampled, 0.0).sum() / count, apart.sum() / count


def _code_losses(
    codes: Tensor, truths: Tensor, references: Tensor, weights: Weights, beta: float
) -> Tensor:
    """[P, 4]; no gradient reaches the references."""
    with torch.no_grad():
        wanted = encode_boxes(truths, references, weights)
    return smooth_l1_loss(codes, wanted, beta=beta)
