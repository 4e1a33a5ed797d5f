"""Structural similarity in 3x3 windows."""

import torch.nn.functional as F
from torch import Tensor

_C1, _C2 = 0.01**2, 0.03**2  # Wang et al. 2004, for values in [0, 1]


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """[B, C, H, W] in [0, 1] -> [B, C, H - 2, W - 2] in [-1, 1], of the windows that fit.

    All pixels of a window weigh alike, as in Godard et al. 2017; the variance is the population's.
    """
    mean_1, mean_2 = F.avg_pool2d(first, 3, 1), F.avg_pool2d(second, 3, 1)
    variance_1 = F.avg_pool2d(first * first, 3, 1) - mean_1 * mean_1
    variance_2 = F.avg_pool2d(second * second, 3, 1) - mean_2 * mean_2
    covariance = F.avg_pool2d(first * second, 3, 1) - mean_1 * mean_2
    likeness = (2 * mean_1 * mean_2 + _C1) * (2 * covariance + _C2)
    size = (mean_1 * mean_1 + mean_2 * mean_2 + _C1) * (variance_1 + variance_2 + _C2)
    return likeness / size
