"""Where rays first meet the table, the wall or an object.

Legend: B scenes, K places for objects, P rays, N pairs of a ray and an object it may hit.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from models.data.world.names import SHAPES, STUFF
from models.data.world.scenes import Scenes
from models.data.world.solids import SOLIDS, Solid
from models.data.world.vectors import dot, pick, put, turn_about_y, turn_back_about_y

TABLE, WALL = (STUFF.index(name) for name in ("table", "wall"))
FIRST_OBJECT = len(STUFF)


@dataclass(frozen=True)
class Hits:
    """What each ray sees. The owner is `TABLE`, `WALL` or `FIRST_OBJECT` + k."""

    distance: Tensor  # [B, P]
    point: Tensor  # [3, B, P]
    normal: Tensor  # [3, B, P] unit, outward
    owner: Tensor  # [B, P] int64


@dataclass(frozen=True)
class Pairs:
    """Rays that may hit objects of one kind: flat numbers into [B·P] and [B·K]."""

    solid: Solid
    ray: Tensor  # [N]
    object: Tensor  # [N]


def trace(scenes: Scenes, eye: Tensor, rays: Tensor) -> Hits:
    """The first surface along unit rays [3, B, P] from one eye [3, B] a scene."""
    distance, normal, owner = _meet_room(scenes, eye, rays)
    to_centre = scenes.position - eye[:, :, None]  # [3, B, K]
    along = dot(to_centre[..., None], rays[:, :, None])  # [B, K, P]
    spare = dot(to_centre, to_centre) - scenes.reach**2  # [B, K]
    near = (along * along > spare[..., None]) & scenes.present[..., None]
    flat_rays, flat_distance = rays.flatten(1), distance.view(-1)
    found: list[tuple[Pairs, Tensor]] = []
    for pairs in pair_up(scenes, near):
        start = to_local(scenes, pairs.object, -pick(to_centre.flatten(1), pairs.object))
        ray = to_local(scenes, pairs.object, pick(flat_rays, pairs.ray))
        t = pairs.solid.hit(start, ray, pick(scenes.size.flatten(1), pairs.object))
        flat_distance.scatter_reduce_(0, pairs.ray, t, "amin")
        found.append((pairs, t))
    point = eye[:, :, None] + distance * rays
    for pairs, t in found:
        seen = (t == pick(flat_distance, pairs.ray)).nonzero()[:, 0]
        _take_over(
            scenes,
            Pairs(pairs.solid, pick(pairs.ray, seen), pick(pairs.object, seen)),
            point,
            normal,
            owner,
        )
    return Hits(distance, point, normal, owner)


def pair_up(scenes: Scenes, near: Tensor) -> Iterator[Pairs]:
    """Split the pairs marked in `near` [B, K, P] by the kind of solid, leaving out absent kinds."""
    _, objects, rays = near.shape
    at = near.view(-1).nonzero()[:, 0]
    object_ = at // rays
    ray = object_ // objects * rays + at % rays
    shape = pick(scenes.shape.view(-1), object_)
    for kind in range(len(SHAPES)):
        chosen = (shape == kind).nonzero()[:, 0]
        if len(chosen):
            yield Pairs(SOLIDS[kind], pick(ray, chosen), pick(object_, chosen))


def to_local(scenes: Scenes, objects: Tensor, vectors: Tensor) -> Tensor:
    """Turn world vectors [3, N] into the frames of the objects [N] (flat numbers)."""
    yaw = scenes.yaw.reshape(-1)
    return turn_back_about_y(vectors, pick(yaw.cos(), objects), pick(yaw.sin(), objects))


def _meet_room(scenes: Scenes, eye: Tensor, rays: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    down, away = rays[1], rays[2]
    to_table = torch.where(down < -1e-5, -eye[1, :, None] / down, math.inf)
    wall_z = scenes.room.wall_z[:, None]
    to_wall = torch.where(away > 1e-5, (wall_z - eye[2, :, None]) / away, math.inf)
    on_wall = to_wall < to_table
    distance = torch.minimum(to_wall, to_table)
    # A ray that meets neither (none does from the cameras made here) ends far out on the wall.
    distance = distance.clamp_max(100.0)
    upright = (~on_wall).to(rays.dtype)
    normal = torch.stack([torch.zeros_like(upright), upright, upright - 1])
    return distance, normal, torch.where(on_wall, WALL, TABLE)


def _take_over(scenes: Scenes, pairs: Pairs, point: Tensor, normal: Tensor, owner: Tensor) -> None:
    """Write the objects' normals and names over the background's, in place."""
    if not len(pairs.ray):
        return
    objects = pairs.object
    centred = pick(point.flatten(1), pairs.ray) - pick(scenes.position.flatten(1), objects)
    local = to_local(scenes, objects, centred)
    facing = pairs.solid.facing(local, pick(scenes.size.flatten(1), objects))
    yaw = scenes.yaw.reshape(-1)
    turned = turn_about_y(facing, pick(yaw.cos(), objects), pick(yaw.sin(), objects))
    put(normal.view(3, -1), pairs.ray, turned)
    put(owner.view(-1), pairs.ray, FIRST_OBJECT + objects % scenes.shape.shape[1])
