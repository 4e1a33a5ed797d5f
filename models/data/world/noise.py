"""Tiles of smooth noise without seams, kept at every size so that nothing flickers far away."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from models.data.world.randomness import Draws
from models.data.world.vectors import pick

TILES = 8
_SIZE = 256
_LEVELS = 7
_OCTAVES = (4, 8, 16, 32, 64, 128)  # cells across a tile
_FADING = 0.80  # of each octave against the one before


@cache
def _tiles(device: torch.device) -> Tensor:
    """[TILES * texels] float32 about -1..1: each tile's levels one after another, finest first."""
    draws = Draws(0x7461626C65, torch.arange(TILES))
    tile = torch.zeros(TILES, 1, _SIZE, _SIZE)
    strength = 1.0
    for cells in _OCTAVES:
        lattice = draws.uniform(f"octave {cells}", 1, cells, cells, low=-1, high=1)
        step, margin = _SIZE // cells, 2
        padded = F.pad(lattice, (margin,) * 4, mode="circular")
        grown = F.interpolate(padded, scale_factor=step, mode="bicubic", align_corners=False)
        edge = margin * step
        tile += strength * grown[..., edge : edge + _SIZE, edge : edge + _SIZE]
        strength *= _FADING
    tile = (tile - tile.mean((2, 3), keepdim=True)) / tile.std((2, 3), keepdim=True) * 0.45
    levels = [F.avg_pool2d(tile, 1 << level).flatten(1) for level in range(_LEVELS)]
    return torch.cat(levels, dim=1).reshape(-1).to(device)


_LEVEL_STARTS = [sum((_SIZE >> i) ** 2 for i in range(level)) for level in range(_LEVELS + 1)]


def noise(tile: Tensor, u: Tensor, v: Tensor, footprint: Tensor) -> Tensor:
    """Noise of about -1..1 at (u, v), in lengths of a tile, seen by samples `footprint` tiles wide.

    All [N]; bilinear at the level whose texels are about as large as the sample.
    """
    texels = _tiles(u.device)
    octave = (footprint * _SIZE).clamp_min(1).log2().round().clamp_max(_LEVELS - 1).long()
    size = _SIZE >> octave
    starts = torch.tensor(_LEVEL_STARTS, device=u.device)
    start = pick(starts, octave) + tile * starts[-1]
    x, y = u * size - 0.5, v * size - 0.5
    left, top = x.floor(), y.floor()
    x, y = x - left, y - top
    last = size - 1
    x0, y0 = left.long() & last, top.long() & last
    x1 = (x0 + 1) & last
    row, next_row = start + y0 * size, start + ((y0 + 1) & last) * size
    above = torch.lerp(pick(texels, row + x0), pick(texels, row + x1), x)
    below = torch.lerp(pick(texels, next_row + x0), pick(texels, next_row + x1), x)
    return torch.lerp(above, below, y)
