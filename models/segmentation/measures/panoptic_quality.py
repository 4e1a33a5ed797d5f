"""Panoptic quality (Kirillov et al. 2019): how well segments are found, and how well drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data.panoptic import VOID, SegmentTruth

# Legend: C labels, k true segments, n found segments, h w pixels.


@dataclass
class PanopticQuality:
    """Sums over images, for each label: IoU of the matched, matches, false and missed segments."""

    sums: Tensor  # [C, 4] float64

    @classmethod
    def zero(cls, labels: int, device: torch.device | None = None) -> "PanopticQuality":
        return cls(torch.zeros(labels, 4, dtype=torch.float64, device=device))

    def add(self, truth: SegmentTruth, numbers: Tensor, labels: Tensor) -> None:
        """One image: what was found is `numbers` [h, w], rows of `labels` [n], or VOID.

        A pair of one label whose IoU exceeds a half is a match. What is not known to be anything
        counts for nobody; a found segment that is mostly unknown, or lies mostly in a crowd of its
        label, is not held against the finder.
        """
        shared = overlaps(truth.numbers, len(truth.labels), numbers, len(labels))
        shared = shared.to(self.sums.device)  # [1 + k, 1 + n]
        real, found = shared.sum(1)[1:], shared.sum(0)[1:]
        union = real[:, None] + found - shared[1:, 1:] - shared[0, 1:]
        iou = shared[1:, 1:] / union.clamp_min(1)
        same = truth.labels[:, None] == labels
        matched = same & (iou > 0.5) & ~truth.is_crowd[:, None]
        for row, column in matched.nonzero().tolist():
            self.sums[truth.labels[row], 0] += iou[row, column]
            self.sums[truth.labels[row], 1] += 1
        crowd = (shared[1:, 1:] * (same & truth.is_crowd[:, None])).sum(0)
        excused = (shared[0, 1:] + crowd) / found.clamp_min(1) > 0.5
        false = labels[~matched.any(0) & ~excused & (found > 0)]
        missed = truth.labels[~matched.any(1) & ~truth.is_crowd & (real > 0)]
        for column, those in ((2, false), (3, missed)):
            self.sums[:, column] += torch.bincount(those, minlength=len(self.sums))

    def summed(self, total: Callable[[Tensor], Tensor]) -> "PanopticQuality":
        """All processes together."""
        return PanopticQuality(total(self.sums))

    def per_label(self) -> Tensor:
        """PQ, SQ and RQ of each label: [C, 3], nan for those that never occurred."""
        iou, hit, false, missed = self.sums.unbind(1)
        weight = hit + 0.5 * (false + missed)
        known = weight > 0
        recognition = hit / weight
        drawn = (iou / hit.clamp_min(1)).where(known, torch.nan)
        return torch.stack([(iou / weight).where(known, torch.nan), drawn, recognition], 1)

    def figures(self, is_thing: Sequence[bool]) -> dict[str, float]:
        """Means over labels: `PQ`, `SQ`, `RQ`, and the same with `_th` and `_st`."""
        each, thing = self.per_label(), torch.tensor(is_thing, device=self.sums.device)
        parts = {"": torch.ones_like(thing), "_th": thing, "_st": ~thing}
        return {
            f"{name}{suffix}": float(each[part][:, column].nanmean())
            for suffix, part in parts.items()
            for column, name in enumerate(("PQ", "SQ", "RQ"))
        }


def overlaps(a: Tensor, a_count: int, b: Tensor, b_count: int) -> Tensor:
    """How many pixels two maps of numbers share: float64 [1 + a_count, 1 + b_count].

    Row and column 0 are VOID.
    """
    assert VOID == -1
    pairs = (a.long() + 1) * (b_count + 1) + (b.long() + 1)
    counts = torch.bincount(pairs.flatten(), minlength=(a_count + 1) * (b_count + 1))
    return counts.view(a_count + 1, b_count + 1).double()
