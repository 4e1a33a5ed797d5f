"""The solids: where a ray meets each, and which way its surface faces there.

Every solid is centred and fills the box of half extents `size` [3, N]. A hit function takes rays
with origin o and direction d, [3, N] in the solid's own frame with the origin outside, and gives
the distance [N] in lengths of d, infinite where they miss. A facing function takes points on the
surface and gives unit normals; sharp edges are rounded over a narrow band, as a joiner would, so
that they catch the light.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from models.data.world.names import SHAPES
from models.data.world.polyhedra import CUBE, PRISM, PYRAMID, Polyhedron
from models.data.world.vectors import dot, normalise, pick

INFINITY = float("inf")
_NEAR = 1e-4
_BEVEL = 0.09  # of the mean half extent


class Solid(NamedTuple):
    hit: Callable[[Tensor, Tensor, Tensor], Tensor]
    facing: Callable[[Tensor, Tensor], Tensor]


def hit_ball(o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    return _first_root(dot(d, d), dot(o, d), dot(o, o) - size[0] ** 2)


def face_ball(p: Tensor, size: Tensor) -> Tensor:
    return normalise(p)


def hit_cylinder(o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    """Upright. Through the side within the height, or through the lid that faces the ray."""
    o, d = o / size, d / size  # an affine map moves no hit along its ray
    side = _first_root(d[0] ** 2 + d[2] ** 2, o[0] * d[0] + o[2] * d[2], o[0] ** 2 + o[2] ** 2 - 1)
    side = side.where((o[1] + side * d[1]).abs() < 1, INFINITY)
    lid = (-d[1].sign() - o[1]) / _nonzero(d[1])
    return torch.minimum(side, _within_disc(o, d, lid))


def face_cylinder(p: Tensor, size: Tensor) -> Tensor:
    rho = (p[0] ** 2 + p[2] ** 2).sqrt().clamp_min(1e-6)
    zero = torch.zeros_like(rho)
    side = torch.stack([p[0] / rho, zero, p[2] / rho])
    lid = torch.stack([zero, p[1].sign(), zero])
    below_lid, inside_side = size[1] - p[1].abs(), size[0] - rho
    return _rounded(side, lid, inside_side - below_lid, size)


def hit_cone(o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    """Upright, its tip at the top: x² + z² = ((1 - y) / 2)² once scaled, and the disc below."""
    o, d = o / size, d / size
    below_tip = o[1] - 1
    a = d[0] ** 2 + d[2] ** 2 - 0.25 * d[1] ** 2
    b = o[0] * d[0] + o[2] * d[2] - 0.25 * below_tip * d[1]
    c = o[0] ** 2 + o[2] ** 2 - 0.25 * below_tip**2
    root = (b * b - a * c).clamp_min(0).sqrt()
    crossed = b * b > a * c
    best = _within_disc(o, d, (-1 - o[1]) / _nonzero(d[1]))
    for t in ((-b - root) / _nonzero(a), (-b + root) / _nonzero(a)):
        good = crossed & (t > _NEAR) & ((o[1] + t * d[1]).abs() < 1)
        best = torch.minimum(best, t.where(good, INFINITY))
    return best


def face_cone(p: Tensor, size: Tensor) -> Tensor:
    slope = size[0] / (2 * size[1])
    rho = (p[0] ** 2 + p[2] ** 2).sqrt().clamp_min(1e-6)
    side = normalise(torch.stack([p[0] / rho, slope, p[2] / rho]))
    base = torch.zeros_like(p)
    base[1] = -1.0
    return side.where(p[1] > -0.999 * size[1], base)


def hit_capsule(o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    """Lying along x: a tube closed by two half balls."""
    radius, straight = size[1], size[0] - size[1]
    tube = _first_root(
        d[1] ** 2 + d[2] ** 2, o[1] * d[1] + o[2] * d[2], o[1] ** 2 + o[2] ** 2 - radius**2
    )
    best = tube.where((o[0] + tube * d[0]).abs() <= straight, INFINITY)
    for end in (-straight, straight):
        from_end = torch.stack([o[0] - end, o[1], o[2]])
        cap = _first_root(dot(d, d), dot(from_end, d), dot(from_end, from_end) - radius**2)
        beyond = (o[0] + cap * d[0]) * end.sign() >= straight
        best = torch.minimum(best, cap.where(beyond, INFINITY))
    return best


def face_capsule(p: Tensor, size: Tensor) -> Tensor:
    straight = size[0] - size[1]
    along = torch.minimum(torch.maximum(p[0], -straight), straight)
    return normalise(torch.stack([p[0] - along, p[1], p[2]]))


def hit_torus(o: Tensor, d: Tensor, size: Tensor) -> Tensor:
    """Lying flat. Sphere tracing from where the ray enters the ball around it and its slab."""
    length = dot(d, d).sqrt()
    d = d / length
    tube, ring = size[1], size[0] - size[1]
    b, c = dot(o, d), dot(o, o) - size[0] ** 2
    root = (b * b - c).clamp_min(0).sqrt()
    slab = tube * 1.001
    to_slab = torch.stack([(-slab - o[1]) / _nonzero(d[1]), (slab - o[1]) / _nonzero(d[1])])
    start = torch.maximum(-b - root, to_slab.amin(0)).clamp_min(_NEAR)
    stop = torch.minimum(-b + root, to_slab.amax(0))
    found = torch.full_like(b, INFINITY)
    live = ((b * b > c) & (start < stop)).nonzero()[:, 0]
    tolerance = 3e-4 * size[0]
    t, o, d = pick(start, live), pick(o, live), pick(d, live)
    ring, tube, stop, tolerance = (pick(x, live) for x in (ring, tube, stop, tolerance))
    for step in range(1, 41):
        p = o + t * d
        gap = (((p[0] ** 2 + p[2] ** 2).sqrt() - ring) ** 2 + p[1] ** 2).sqrt() - tube
        t = t + gap
        if step % 4 == 0:  # rays that arrived or left are dropped now and then
            hit = gap < tolerance
            found[live[hit]] = t[hit]
            on = (~hit & (t < stop)).nonzero()[:, 0]
            if not len(on):
                break
            live, t, o, d = pick(live, on), pick(t, on), pick(o, on), pick(d, on)
            ring, tube, stop, tolerance = (pick(x, on) for x in (ring, tube, stop, tolerance))
    return found / length


def face_torus(p: Tensor, size: Tensor) -> Tensor:
    rho = (p[0] ** 2 + p[2] ** 2).sqrt().clamp_min(1e-6)
    from_ring = 1 - (size[0] - size[1]) / rho
    return normalise(torch.stack([p[0] * from_ring, p[1], p[2] * from_ring]))


def _polyhedron(planes: Polyhedron) -> Solid:
    return Solid(planes.hit, lambda p, size: planes.facing(p, size, _BEVEL * size.mean(0)))


def _first_root(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The smaller root of a t² + 2 b t + c, infinite where there is none in front."""
    under = b * b - a * c
    t = (-b - under.clamp_min(0).sqrt()) / a.clamp_min(1e-12)
    return t.where((under > 0) & (t > _NEAR), INFINITY)


def _within_disc(o: Tensor, d: Tensor, t: Tensor) -> Tensor:
    inside = (o[0] + t * d[0]) ** 2 + (o[2] + t * d[2]) ** 2 < 1
    return t.where(inside & (t > _NEAR), INFINITY)


def _nonzero(a: Tensor) -> Tensor:
    return a.where(a.abs() > 1e-9, 1e-9)


def _rounded(first: Tensor, second: Tensor, lead: Tensor, size: Tensor) -> Tensor:
    """Blend two faces' normals by how much nearer, in metres, the point lies to the second."""
    share = (lead / (_BEVEL * size.mean(0))).clamp(-1, 1) * 0.5 + 0.5
    return normalise(first + (second - first) * share)


_SOLIDS = {
    "ball": Solid(hit_ball, face_ball),
    "cube": _polyhedron(CUBE),
    "cylinder": Solid(hit_cylinder, face_cylinder),
    "cone": Solid(hit_cone, face_cone),
    "pyramid": _polyhedron(PYRAMID),
    "torus": Solid(hit_torus, face_torus),
    "capsule": Solid(hit_capsule, face_capsule),
    "prism": _polyhedron(PRISM),
}
SOLIDS = tuple(_SOLIDS[name] for name in SHAPES)
