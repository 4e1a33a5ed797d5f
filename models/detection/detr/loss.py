"""DETR's loss: match queries to true boxes one to one, then compare."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.detection.boxes import cxcywh_to_xyxy, pairwise_giou, xyxy_to_cxcywh
from models.detection.detector import RawOutputs, Targets
from models.detection.detr.spec import DETRSpec
from models.detection.losses import giou_loss
from models.detection.matching import match_hungarian

# Legend: B batch, Q queries, K places for true boxes, C classes and background, P matched pairs.


@dataclass(frozen=True)
class DETRLossSpec:
    """The paper's figures. The weights serve the loss and, ∅'s apart, the matching."""

    class_weight: float = 1.0
    l1_weight: float = 5.0
    giou_weight: float = 2.0
    #: How much a query that matches nothing counts in the class loss, beside 1 for the others.
    background_weight: float = 0.1


class DETRLoss:
    """The losses of the last decoder layer and, in `loss`, those of all, each matched anew."""

    def __init__(self, spec: DETRSpec, loss: DETRLossSpec) -> None:
        self._spec = spec
        self._loss = loss

    def __call__(self, raw: RawOutputs, targets: Targets) -> dict[str, Tensor]:
        is_real = targets.labels >= 0  # [B, K]
        truths = xyxy_to_cxcywh(targets.boxes_xyxy) / raw["size_px"].repeat(2)  # [B, K, 4]
        total = raw["class_logits"].new_zeros(())
        last: dict[str, Tensor] = {}
        for logits, boxes in zip(raw["class_logits"], raw["boxes_cxcywh"], strict=True):
            last = self._layer(logits, boxes, truths, targets.labels, is_real)
            total = total + sum(self._weights[name] * value for name, value in last.items())
        return {"loss": total, **last}

    @property
    def _weights(self) -> dict[str, float]:
        loss = self._loss
        return {"class": loss.class_weight, "l1": loss.l1_weight, "giou": loss.giou_weight}

    def _layer(
        self, logits: Tensor, boxes: Tensor, truths: Tensor, labels: Tensor, is_real: Tensor
    ) -> dict[str, Tensor]:
        """`logits` [B, Q, C], `boxes` and `truths` cxcywh [B, Q, 4] and [B, K, 4]."""
        cost = matching_cost(logits, boxes, truths, labels.clamp_min(0), self._loss)
        pairs = match_hungarian(cost, is_real)
        image = torch.cat([q.new_full(q.shape, i) for i, (q, _) in enumerate(pairs)])  # [P]
        query, truth = (torch.cat(side) for side in zip(*pairs, strict=True))  # [P] each
        wanted = labels.new_full(logits.shape[:2], self._spec.background)  # [B, Q]
        wanted[image, query] = labels[image, truth]
        weight = logits.new_ones(logits.shape[-1])
        weight[self._spec.background] = self._loss.background_weight
        found, true = boxes[image, query], truths[image, truth]  # [P, 4] each
        count = is_real.sum().clamp_min(1)
        return {
            "class": F.cross_entropy(logits.transpose(1, 2), wanted, weight),
            "l1": (found - true).abs().sum() / count,
            "giou": giou_loss(cxcywh_to_xyxy(found), cxcywh_to_xyxy(true)).sum() / count,
        }


@torch.no_grad()
def matching_cost(
    logits: Tensor, boxes: Tensor, truths: Tensor, labels: Tensor, loss: DETRLossSpec
) -> Tensor:
    """What it costs to let a query answer for a true box: [B, Q, K].

    `logits` [B, Q, C], `boxes` cxcywh [B, Q, 4], `truths` cxcywh [B, K, 4], `labels` [B, K].
    """
    chosen = labels[:, None].expand(-1, logits.shape[1], -1)  # [B, Q, K]
    probability = logits.softmax(-1).gather(2, chosen)
    apart = (boxes[:, :, None] - truths[:, None]).abs().sum(-1)
    overlap = pairwise_giou(cxcywh_to_xyxy(boxes), cxcywh_to_xyxy(truths))
    return loss.l1_weight * apart - loss.giou_weight * overlap - loss.class_weight * probability
