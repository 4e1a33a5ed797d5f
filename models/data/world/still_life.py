"""Still lifes: a few things in their places, the same light and the same view for all.

A painter that learns from them need not learn where things may be.
Legend: B scenes, K places for objects.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from models.data.world.randomness import Draws
from models.data.world.scenes import Camera, Light, Room
from models.data.world.spec import SceneSpec
from models.data.world.vectors import normalise

SCALES = (0.44, 0.50)
"""Of the objects, least and most."""

TURNS = (0.35, 0.65)
"""The share of the turns that solids with sides may have, least and most."""

_DISTANCE = 3.3
_ELEVATION = math.radians(30)
_HALF_WIDTH = math.tan(math.radians(21))
_WALL_Z, _TURN = 1.9, 0.4
_NEAR = 0.05

# Where objects stand, by how many there are: x and z, metres.
_PLACES = {
    1: ((0.0, 0.0),),
    2: ((-0.62, 0.0), (0.62, 0.0)),
    3: ((-0.62, -0.35), (0.62, -0.35), (0.0, 0.65)),
    4: ((-0.62, -0.55), (0.62, -0.55), (-0.62, 0.65), (0.62, 0.65)),
}


def places(spec: SceneSpec, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """Which objects are there, x and z, each [B, K]: as many as are wanted, each near its place."""
    objects = spec.max_objects
    wanted = spec.min_objects + draws.integers("count", 1 + objects - spec.min_objects)  # [B]
    table = torch.zeros(objects + 1, objects, 2, device=wanted.device)
    for count in range(1, objects + 1):
        table[count, :count] = torch.tensor(_PLACES[count], device=wanted.device)
    near = draws.uniform("near", objects, 2, low=-_NEAR, high=_NEAR)  # [B, K, 2]
    x, z = (table[wanted] + near).unbind(2)
    return torch.arange(objects, device=wanted.device) < wanted[:, None], x, z


def camera(scenes: int, device: torch.device) -> Camera:
    """From straight ahead and a little above."""
    target = _same((0.0, 0.2, 0.0), scenes, device)
    back = (0.0, _DISTANCE * math.sin(_ELEVATION), -_DISTANCE * math.cos(_ELEVATION))
    half_width = torch.full((scenes,), _HALF_WIDTH, device=device)
    baseline = torch.full_like(half_width, 0.045 * _DISTANCE)
    return Camera.looking_at(target, target + _same(back, scenes, device), half_width, baseline)


def light(scenes: int, device: torch.device) -> Light:
    """From the upper left."""
    return Light(
        normalise(_same((-0.95, 1.0, -0.3), scenes, device)),
        _same((1.6, 1.6, 1.56), scenes, device),
        _same((0.29, 0.30, 0.32), scenes, device),
    )


def settled(room: Room) -> Room:
    """Its patterns lie still: a kind and tone of table or wall looks always the same."""
    return replace(
        room,
        wall_z=torch.full_like(room.wall_z, _WALL_Z),
        grain=torch.ones_like(room.grain),
        turn=torch.full_like(room.turn, _TURN),
        tile=torch.zeros_like(room.tile),
        shift=torch.zeros_like(room.shift),
    )


def _same(values: tuple[float, float, float], scenes: int, device: torch.device) -> Tensor:
    """[3, B]"""
    return torch.tensor(values, device=device)[:, None].repeat(1, scenes)
