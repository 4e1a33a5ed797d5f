"""Disparity should be smooth where the image is."""

from torch import Tensor


def smoothness(disparity: Tensor, image: Tensor) -> Tensor:
    """mean |d_x d| exp(-|d_x I|) + mean |d_y d| exp(-|d_y I|), a scalar.

    Disparity [B, 1, H, W], image [B, 3, H, W] in [0, 1], whose gradient is the mean over its
    channels (Godard et al. 2017, equation 3).
    """
    across = _along_x(disparity).abs() * (-_along_x(image).abs().mean(1, keepdim=True)).exp()
    down = _along_y(disparity).abs() * (-_along_y(image).abs().mean(1, keepdim=True)).exp()
    return across.mean() + down.mean()


def _along_x(x: Tensor) -> Tensor:
    return x[..., :, 1:] - x[..., :, :-1]


def _along_y(x: Tensor) -> Tensor:
    return x[..., 1:, :] - x[..., :-1, :]
