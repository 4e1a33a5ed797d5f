"""Backward warping: each pixel of the result says where in the source it comes from.

Pixel coordinates count from the edge (the middle of the first pixel is at 0.5), which is what
`grid_sample` calls `align_corners=False`. Legend: B batch, C channels, h w source, H W result.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Outside = Literal["border", "zeros"]


def sample_at(source: Tensor, x_px: Tensor, y_px: Tensor, *, outside: Outside = "border") -> Tensor:
    """`source` [B, C, h, w] at the places `x_px`, `y_px` [B, H, W], bilinear -> [B, C, H, W].

    Outside of the source its border is repeated, or there are zeros.
    """
    height, width = source.shape[-2:]
    grid = torch.stack([x_px * (2 / width) - 1, y_px * (2 / height) - 1], -1)  # [B, H, W, 2]
    return F.grid_sample(source, grid, "bilinear", outside, align_corners=False)


def shift_columns(source: Tensor, shift_px: Tensor, *, outside: Outside = "border") -> Tensor:
    """result(x, y) = source(x + shift(x, y), y): [B, C, H, W], shift [B, H, W] -> [B, C, H, W]."""
    height, width = source.shape[-2:]
    across = torch.arange(width, device=source.device, dtype=shift_px.dtype) + 0.5
    down = torch.arange(height, device=source.device, dtype=shift_px.dtype) + 0.5
    y_px = down[:, None].expand_as(shift_px)
    return sample_at(source, across + shift_px, y_px, outside=outside)
