"""Convex solids bounded by planes, described once in the box from -1 to 1 and stretched to size."""

import math
from functools import cache

import torch
from torch import Tensor

from models.data.world.vectors import normalise

_NEAR = 1e-4


class Polyhedron:
    """All points x with n · x <= 1 for each plane normal n, in the box from -1 to 1."""

    def __init__(self, *planes: tuple[float, float, float]) -> None:
        self._planes = planes

    @cache  # noqa: B019 - a handful of constants live as long as the process
    def _normals(self, device: torch.device) -> Tensor:
        return torch.tensor(self._planes, device=device)  # [F, 3]

    def hit(self, o: Tensor, d: Tensor, size: Tensor) -> Tensor:
        """The last plane entered, if that comes before the first one left. [N]"""
        normals = self._normals(o.device)
        towards = _times(normals, d / size)  # [F, N]
        t = (1 - _times(normals, o / size)) / towards.where(towards.abs() > 1e-9, 1e-9)
        entered = t.where(towards < 0, -math.inf).amax(0)
        left = t.where(towards >= 0, math.inf).amin(0)
        return entered.where((entered < left) & (entered > _NEAR), math.inf)

    def facing(self, p: Tensor, size: Tensor, bevel: Tensor) -> Tensor:
        """The normal [3, N] of the nearest face, leaning to the next within `bevel` of the edge."""
        normals = self._normals(p.device)
        steepness = _times(normals**2, size**-2).sqrt()  # [F, N], what stretching does to distances
        inside = (1 - _times(normals, p / size)) / steepness  # metres below each face
        depth, face = inside.topk(2, dim=0, largest=False)  # [2, N]
        first, second = (normalise(normals[chosen].T / size) for chosen in face)
        share = (0.5 - 0.5 * (depth[1] - depth[0]) / bevel).clamp_min(0)
        return normalise(first + (second - first) * share)


def _times(normals: Tensor, points: Tensor) -> Tensor:
    """[F, 3] x [3, N] -> [F, N], in the same order of additions whatever N is."""
    columns = normals.unbind(1)
    return sum((n[:, None] * x for n, x in zip(columns, points, strict=True)), torch.zeros(()))


CUBE = Polyhedron((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
# Square below, its tip at (0, 1, 0): each side passes through (±1, -1) and the tip.
PYRAMID = Polyhedron((2, 1, 0), (-2, 1, 0), (0, 1, 2), (0, 1, -2), (0, -1, 0))
# A tent along x, its ridge at y = 1.
PRISM = Polyhedron((0, 1, 2), (0, 1, -2), (0, -1, 0), (1, 0, 0), (-1, 0, 0))
