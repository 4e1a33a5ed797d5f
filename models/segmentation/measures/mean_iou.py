"""Intersection over union of labels, pixel by pixel, over a whole set."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data.panoptic import SegmentTruth

# Legend: C labels, h w pixels.


@dataclass
class MeanIoU:
    """How many pixels of each true label were given which."""

    pixels: Tensor  # [C, C] float64, true label by given label

    @classmethod
    def zero(cls, labels: int) -> "MeanIoU":
        return cls(torch.zeros(labels, labels, dtype=torch.float64))

    def add(self, truth: SegmentTruth, semantic: Tensor) -> None:
        """One image: `semantic` [h, w] gives every pixel a label. What is not known is left out."""
        known = truth.numbers >= 0
        real = truth.labels[truth.numbers[known].long()]
        labels = len(self.pixels)
        pairs = real * labels + semantic[known].long()
        counts = torch.bincount(pairs, minlength=labels * labels)
        self.pixels += counts.view(labels, labels)

    def summed(self, total: Callable[[Tensor], Tensor]) -> "MeanIoU":
        """All processes together."""
        return MeanIoU(total(self.pixels))

    def per_label(self) -> Tensor:
        """[C], nan for those that are neither there nor given."""
        right = self.pixels.diagonal()
        union = self.pixels.sum(0) + self.pixels.sum(1) - right
        return (right / union).where(union > 0, torch.nan)

    def figures(self) -> dict[str, float]:
        right = self.pixels.diagonal().sum() / self.pixels.sum()
        return {"mIoU": float(self.per_label().nanmean()), "pixel_accuracy": float(right)}
