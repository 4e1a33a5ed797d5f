"""Patterns of brightness for the table and the wall.

A pattern takes points (u, v) [N] in metres, the width [N] of a sample there and the scene's noise
tile [N], and gives a factor [N] around one for the surface's colour, averaged over the sample: far
lines fade instead of flickering.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from models.data.world.names import TABLES, WALLS
from models.data.world.noise import noise
from models.data.world.randomness import mix

Pattern = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def wood(u: Tensor, v: Tensor, width: Tensor, tile: Tensor) -> Tensor:
    """Planks along u, each of its own tone, with long grain and dark seams."""
    plank = (v * 1.7).floor()
    tone = _chance(plank, tile)
    grain = noise(tile, u * 0.07 + tone * 7, v * 0.55, width * 0.3)
    fine = noise(tile, u * 0.25 + tone * 3, v * 2.3, width * 1.2)
    return (0.86 + 0.24 * tone + 0.26 * grain + 0.16 * fine) * (
        1 - 0.45 * _lines(v * 1.7, 0.04, width * 1.7)
    )


def checks(u: Tensor, v: Tensor, width: Tensor, tile: Tensor) -> Tensor:
    """A chessboard of two tones."""
    board = _square_wave(u * 2.2, width * 2.2) * _square_wave(v * 2.2, width * 2.2)
    return 1 + 0.27 * board + 0.15 * noise(tile, u * 0.4, v * 0.4, width * 0.4)


def stone(u: Tensor, v: Tensor, width: Tensor, tile: Tensor) -> Tensor:
    """Cloudy, with dark veins where the noise passes through zero."""
    cloud = noise(tile, u * 0.3, v * 0.3, width * 0.3)
    vein = noise(tile, v * 0.11 + 0.37, u * 0.11, width * 0.11)
    return 1 + 0.30 * cloud - 0.32 * (1 - vein.abs() * 7).clamp_min(0)


def tiles(u: Tensor, v: Tensor, width: Tensor, tile: Tensor) -> Tensor:
    """Square tiles, no two quite alike, with pale grout between."""
    x, y = u * 2.4, v * 2.4
    tone = _chance(x.floor() * 57 + y.floor(), tile)
    grout = torch.maximum(_lines(x, 0.07, width * 2.4), _lines(y, 0.07, width * 2.4))
    face = 0.88 + 0.2 * tone + 0.18 * noise(tile, u * 0.4, v * 0.4, width * 0.4)
    return torch.lerp(face, torch.full_like(face, 1.38), grout)


def cloth(u: Tensor, v: Tensor, width: Tensor, tile: Tensor) -> Tensor:
    """A woven check: bands both ways, darker where they cross."""
    bands = _square_wave(u * 2.8, width * 2.8) + _square_wave(v * 2.8, width * 2.8)
    weave = noise(tile, u * 0.9, v * 0.9, width * 0.9)
    return 1 + 0.15 * bands + 0.14 * weave


def plaster(u: Tensor, v: Tensor, width: Tensor, tile: Tensor) -> Tensor:
    return 1 + 0.20 * noise(tile, u * 0.33, v * 0.33, width * 0.33)


def stripes(u: Tensor, v: Tensor, width: Tensor, tile: Tensor) -> Tensor:
    """Wallpaper with upright stripes."""
    band = _square_wave(u * 2.6, width * 2.6)
    return 1 + 0.12 * band + 0.14 * noise(tile, u * 0.4, v * 0.4, width * 0.4)


def bricks(u: Tensor, v: Tensor, width: Tensor, tile: Tensor) -> Tensor:
    """Courses of bricks, every other one shifted by half a brick."""
    y = v * 4.2
    x = u * 1.9 + 0.5 * (y.floor() % 2)
    tone = _chance(x.floor() * 91 + y.floor(), tile)
    joint = torch.maximum(_lines(x, 0.05, width * 1.9), _lines(y, 0.11, width * 4.2))
    face = 0.85 + 0.28 * tone + 0.18 * noise(tile, u * 0.4, v * 0.4, width * 0.4)
    return torch.lerp(face, torch.full_like(face, 1.22), joint)


def _square_wave(x: Tensor, width: Tensor) -> Tensor:
    """-1 and +1 by turns for one unit each, averaged over a window of this width, one at most."""
    half = width.clamp(1e-3, 1) * 0.5
    return (_triangle(x + half) - _triangle(x - half)) / (2 * half)


def _triangle(x: Tensor) -> Tensor:
    """The integral of the square wave."""
    return 1 - (x - 2 * (x * 0.5).floor() - 1).abs()


def _lines(x: Tensor, share: float, width: Tensor) -> Tensor:
    """One on the first `share` of every unit, else zero, averaged over a window of this width."""
    half = width.clamp(1e-3, 2) * 0.5
    return (_ramp(x + half, share) - _ramp(x - half, share)) / (2 * half)


def _ramp(x: Tensor, share: float) -> Tensor:
    """The integral of the lines."""
    whole = x.floor()
    return whole * share + (x - whole).clamp_max(share)


def _chance(cell: Tensor, tile: Tensor) -> Tensor:
    """A number in 0..1 that belongs to a cell of a pattern."""
    return (mix(cell.long() * 0x3C6EF35F + tile) >> 8).to(torch.float32) * 2.0**-24


_PATTERNS: dict[str, Pattern] = {
    "wooden": wood,
    "checked": checks,
    "stone": stone,
    "tiled": tiles,
    "cloth": cloth,
    "plaster": plaster,
    "striped": stripes,
    "brick": bricks,
}
TABLE_PATTERNS = tuple(_PATTERNS[name] for name in TABLES)
WALL_PATTERNS = tuple(_PATTERNS[name] for name in WALLS)
