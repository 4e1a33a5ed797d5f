"""Mask2Former's loss: match queries to true segments one to one, compare masks at points."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.data.panoptic import Segments
from models.detection.matching import match_hungarian
from models.segmentation.decoder import Answer
from models.segmentation.points import sample_logits, sample_truth, sample_truths, unsure_points
from models.segmentation.spec import SegmenterSpec

# Legend: B batch, Q queries, K places for true segments, C classes and ∅, P matched pairs,
# S points, h w cells of a mask.


@dataclass(frozen=True)
class SegmentationLossSpec:
    """The paper's figures. The weights serve the loss and, ∅'s apart, the matching."""

    class_weight: float = 2.0
    mask_weight: float = 5.0
    dice_weight: float = 5.0
    #: How much a query that matches nothing counts in the class loss, beside 1 for the others.
    nothing_weight: float = 0.1
    points: int = 12_544
    oversample: float = 3.0
    unsure_share: float = 0.75

    def __post_init__(self) -> None:
        if self.points < 1 or self.oversample < 1 or not 0 <= self.unsure_share <= 1:
            raise ValueError(
                f"need points >= 1, oversample >= 1, unsure_share in [0, 1], got {self}"
            )


class SegmentationLoss:
    """The losses of the last answer and, in `loss`, those of all, each matched anew."""

    def __init__(self, spec: SegmenterSpec, loss: SegmentationLossSpec) -> None:
        self._spec = spec
        self._loss = loss

    def __call__(self, answers: Sequence[Answer], segments: Segments) -> dict[str, Tensor]:
        total = answers[0].class_logits.new_zeros(())
        last: dict[str, Tensor] = {}
        for answer in answers:
            last = self._of(answer, segments)
            total = total + sum(self._weights[name] * value for name, value in last.items())
        return {"loss": total, **last}

    @property
    def _weights(self) -> dict[str, float]:
        loss = self._loss
        return {"class": loss.class_weight, "mask": loss.mask_weight, "dice": loss.dice_weight}

    def _of(self, answer: Answer, segments: Segments) -> dict[str, Tensor]:
        labels, logits = segments.labels, answer.class_logits
        is_real = labels >= 0
        pairs = match_hungarian(matching_cost(answer, segments, self._loss), is_real)
        image = torch.cat([q.new_full(q.shape, i) for i, (q, _) in enumerate(pairs)])  # [P]
        query, truth = (torch.cat(side) for side in zip(*pairs, strict=True))  # [P] each
        wanted = labels.new_full(logits.shape[:2], self._spec.nothing)  # [B, Q]
        wanted[image, query] = labels[image, truth]
        weight = logits.new_ones(logits.shape[-1])
        weight[self._spec.nothing] = self._loss.nothing_weight
        masks = answer.mask_logits[image, query]  # [P, h, w]
        points = unsure_points(
            masks,
            self._loss.points,
            oversample=self._loss.oversample,
            unsure_share=self._loss.unsure_share,
        )
        said = sample_logits(masks[:, None], points)[:, 0]  # [P, S]
        true = sample_truth(segments, image, truth, points)
        count = is_real.sum().clamp_min(1)
        return {
            "class": F.cross_entropy(logits.transpose(1, 2), wanted, weight),
            "mask": F.binary_cross_entropy_with_logits(said, true, reduction="none").mean(1).sum()
            / count,
            "dice": dice_loss(said, true).sum() / count,
        }


@torch.no_grad()
def matching_cost(answer: Answer, segments: Segments, loss: SegmentationLossSpec) -> Tensor:
    """What it costs to let a query answer for a true segment: [B, Q, K]."""
    labels = segments.labels.clamp_min(0)
    points = torch.rand(len(labels), loss.points, 2, device=labels.device)
    said = sample_logits(answer.mask_logits, points)  # [B, Q, S]
    true = sample_truths(segments, points)  # [B, K, S]
    chosen = labels[:, None].expand(-1, said.shape[1], -1)  # [B, Q, K]
    probability = answer.class_logits.softmax(-1).gather(2, chosen)
    return (
        loss.mask_weight * pairwise_cross_entropy(said, true)
        + loss.dice_weight * pairwise_dice(said, true)
        - loss.class_weight * probability
    )


def dice_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """1 - the Dice coefficient, smoothed by 1: [P, S] twice -> [P]."""
    said = logits.sigmoid()
    return 1 - (2 * (said * truth).sum(-1) + 1) / (said.sum(-1) + truth.sum(-1) + 1)


def pairwise_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """`dice_loss` of all pairs: [B, Q, S] and [B, K, S] -> [B, Q, K]."""
    said = logits.sigmoid()
    shared = said @ truth.transpose(1, 2)
    areas = said.sum(-1)[:, :, None] + truth.sum(-1)[:, None]
    return 1 - (2 * shared + 1) / (areas + 1)


def pairwise_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Binary cross entropy of all pairs, a mean over points: [B, Q, S], [B, K, S] -> [B, Q, K]."""
    # -t log s(x) - (1 - t) log s(-x) = softplus(x) - t x
    outside = F.softplus(logits).mean(-1)[:, :, None]
    return outside - logits @ truth.transpose(1, 2) / logits.shape[-1]
