"""Disparity and depth of a rectified stereo pair.

With d = x_left - x_right in pixels, z = f b / d (f the focal length in the same pixels, b the
baseline in metres). Disparity and focal length may just as well both be fractions of the width.
"""

import torch
from torch import Tensor


def depth_from_disparity(
    disparity: Tensor, focal: float | Tensor, baseline_m: float | Tensor
) -> Tensor:
    """Metres along the optical axis; infinity where the disparity is 0 or less."""
    _check(focal, baseline_m)
    return torch.where(disparity > 0, focal * baseline_m / disparity, torch.inf)


def disparity_from_depth(
    depth_m: Tensor, focal: float | Tensor, baseline_m: float | Tensor
) -> Tensor:
    """In the unit of the focal length; 0 at infinity, and where the depth is 0 or less: unknown."""
    _check(focal, baseline_m)
    return torch.where(depth_m > 0, focal * baseline_m / depth_m, 0.0)


def _check(focal: float | Tensor, baseline_m: float | Tensor) -> None:
    # Only numbers: a look into tensors would wait for the device.
    for name, value in (("focal length", focal), ("baseline", baseline_m)):
        if not isinstance(value, Tensor) and value <= 0:
            raise ValueError(f"the {name} must be positive, got {value}")
