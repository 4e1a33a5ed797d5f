"""Measures of a classifier, as sums that add up over batches and processes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# Legend: B batch, C classes, M bins of confidence.

CALIBRATION_BINS = 15


@dataclass
class ClassificationMeasures:
    """Counts, from which top-1, top-5, cross entropy and calibration error follow."""

    samples: Tensor  # []
    top1: Tensor  # []
    top5: Tensor  # []
    loss: Tensor  # []
    bins: Tensor  # [3, M]: samples, correct ones and summed confidence of each bin
    confusion: Tensor  # [C, C]: rows are the truth, columns the answer

    @classmethod
    def zero(cls, classes: int, device: torch.device) -> "ClassificationMeasures":
        def zeros(*shape: int) -> Tensor:
            # Not every accelerator has float64; float32 counts exactly to 2^24.
            return torch.zeros(shape, dtype=torch.float32, device=device)

        return cls(
            zeros(), zeros(), zeros(), zeros(), zeros(3, CALIBRATION_BINS), zeros(classes, classes)
        )

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """logits [B, C], labels int64 [B]"""
        logits = logits.float()
        classes = logits.shape[1]
        ranked = logits.topk(min(5, classes), 1).indices  # [B, <=5]
        hits = ranked == labels[:, None]
        self.samples += len(labels)
        self.top1 += hits[:, 0].sum()
        self.top5 += hits.any(1).sum()
        self.loss += F.cross_entropy(logits, labels, reduction="sum")
        confidence = logits.softmax(1).amax(1)  # [B]
        # Bins are open below and closed above (Guo et al. 2017).
        bins = (confidence * CALIBRATION_BINS).ceil().long().clamp(1, CALIBRATION_BINS) - 1
        entries = torch.stack([torch.ones_like(confidence), hits[:, 0].float(), confidence])
        self.bins.index_add_(1, bins, entries)
        pairs = labels * classes + ranked[:, 0]
        self.confusion += torch.bincount(pairs, minlength=classes**2).view(classes, classes)

    def summed(self, total: Callable[[Tensor], Tensor]) -> "ClassificationMeasures":
        """Added up over processes."""
        return ClassificationMeasures(*(total(value) for value in vars(self).values()))

    def figures(self) -> dict[str, float]:
        samples = float(self.samples)
        _, correct, confidence = self.bins
        return {
            "top1": float(self.top1) / samples,
            "top5": float(self.top5) / samples,
            "loss": float(self.loss) / samples,
            "ece": float((correct - confidence).abs().sum()) / samples,
        }
