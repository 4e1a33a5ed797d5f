"""Where a cell lies, as sines and cosines of its row and column."""

import math

import torch
from torch import Tensor

# Legend: h w cells, D width of a token.

TEMPERATURE = 10000.0


def sine_positions(h: int, w: int, width: int, *, device: torch.device | None = None) -> Tensor:
    """Float [h w, D]: the row in the first half of D, the column in the second.

    Both run from almost 0 to 2π whatever the size; sines and cosines alternate.
    """
    count = width // 2
    pair = torch.arange(count, device=device) // 2  # [D / 2]
    wavelength = TEMPERATURE ** (2 * pair / count)
    rows, columns = (_waves(length, wavelength) for length in (h, w))
    grid = [rows[:, None].expand(h, w, count), columns[None].expand(h, w, count)]
    return torch.cat(grid, 2).flatten(0, 1)


def _waves(length: int, wavelength: Tensor) -> Tensor:
    """[length, D / 2]"""
    place = torch.arange(1, length + 1, device=wavelength.device) / (length + 1e-6) * (2 * math.pi)
    angle = place[:, None] / wavelength
    return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], 2).flatten(1)
