"""The figures that depth is judged by (Eigen et al. 2014), with and without median scaling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Legend: P pixels of one image whose depth is known.

FIGURES = ("abs_rel", "sq_rel", "rmse", "rmse_log", "d1", "d2", "d3")

#: Metres: truth outside of it does not count, predictions are clamped into it (KITTI's limits).
NEAREST_M, FARTHEST_M = 1e-3, 80.0


def depth_figures(predicted_m: Tensor, true_m: Tensor) -> Tensor:
    """The figures of one image, float64 [7], from depths of any one shape, 0 where unknown.

    `sq_rel` and `rmse` are in metres. `d1`, `d2`, `d3` are the shares of pixels whose depth is
    right within a factor of 1.25, its square, its cube.
    """
    known = (true_m > NEAREST_M) & (true_m < FARTHEST_M)
    true = true_m[known].double()  # [P]
    if not len(true):
        raise ValueError("an image without a single pixel of known depth")
    predicted = predicted_m[known].double().clamp(NEAREST_M, FARTHEST_M)
    error = predicted - true
    factor = torch.maximum(predicted / true, true / predicted)
    logarithm = predicted.log() - true.log()
    return torch.stack(
        [
            (error.abs() / true).mean(),
            (error**2 / true).mean(),
            (error**2).mean().sqrt(),
            (logarithm**2).mean().sqrt(),
            *((factor < 1.25**power).double().mean() for power in (1, 2, 3)),
        ]
    )


def median_scaled(predicted: Tensor, true_m: Tensor) -> Tensor:
    """The prediction times the one factor that makes the medians of the known pixels equal."""
    known = (true_m > NEAREST_M) & (true_m < FARTHEST_M)
    return predicted * (true_m[known].median() / predicted[known].median())


@dataclass
class DepthMeasures:
    """Means over images: each image weighs the same, however many of its pixels are known."""

    sums: Tensor  # float64 [7]
    images: Tensor  # float64 []

    @classmethod
    def zero(cls, device: torch.device | None = None) -> DepthMeasures:
        return cls(
            torch.zeros(len(FIGURES), dtype=torch.float64, device=device),
            torch.zeros((), dtype=torch.float64, device=device),
        )

    def add(self, figures: Tensor) -> None:
        self.sums += figures.to(self.sums.device)
        self.images += 1

    def summed(self, total: Callable[[Tensor], Tensor]) -> DepthMeasures:
        return DepthMeasures(total(self.sums), total(self.images))

    def figures(self, prefix: str = "") -> dict[str, float]:
        means = (self.sums / self.images).tolist()
        return {f"{prefix}{name}": value for name, value in zip(FIGURES, means, strict=True)}
