"""What colour a surface is, before any light falls on it."""

import torch
from torch import Tensor

from models.data.world import palette
from models.data.world.noise import noise
from models.data.world.patterns import TABLE_PATTERNS, WALL_PATTERNS, Pattern
from models.data.world.scenes import Scenes
from models.data.world.tracing import FIRST_OBJECT, TABLE, WALL, Hits
from models.data.world.vectors import pick, put

_OBJECT_GRAIN = 0.17  # how strongly an object's colour varies over it


def surface_rgb(scenes: Scenes, hits: Hits, sample_width: Tensor) -> Tensor:
    """Linear RGB [3, B, P]. `sample_width` [B, P] is a sample's width there, metres."""
    rgb = torch.empty(hits.point.shape, device=hits.point.device)
    _paint_table(scenes, hits, sample_width, rgb)
    _paint_wall(scenes, hits, sample_width, rgb)
    _paint_objects(scenes, hits, sample_width, rgb)
    return rgb


def _paint_table(scenes: Scenes, hits: Hits, sample_width: Tensor, rgb: Tensor) -> None:
    room = scenes.room
    cosine, sine = room.turn.cos(), room.turn.sin()
    for style, pattern in enumerate(TABLE_PATTERNS):
        where = ((hits.owner == TABLE) & (room.table == style)[:, None]).view(-1).nonzero()[:, 0]
        scene = where // hits.owner.shape[1]
        x, _, z = pick(hits.point.flatten(1), where)
        u = pick(cosine, scene) * x - pick(sine, scene) * z
        v = pick(sine, scene) * x + pick(cosine, scene) * z
        _paint(scenes, pattern, where, scene, u, v, sample_width, room.table_rgb, rgb)


def _paint_wall(scenes: Scenes, hits: Hits, sample_width: Tensor, rgb: Tensor) -> None:
    room = scenes.room
    for style, pattern in enumerate(WALL_PATTERNS):
        where = ((hits.owner == WALL) & (room.wall == style)[:, None]).view(-1).nonzero()[:, 0]
        scene = where // hits.owner.shape[1]
        x, y, _ = pick(hits.point.flatten(1), where)
        _paint(scenes, pattern, where, scene, x, y, sample_width, room.wall_rgb, rgb)


def _paint(
    scenes: Scenes,
    pattern: Pattern,
    where: Tensor,
    scene: Tensor,
    u: Tensor,
    v: Tensor,
    sample_width: Tensor,
    base: Tensor,
    rgb: Tensor,
) -> None:
    if not len(where):
        return
    room = scenes.room
    grain, (shift_u, shift_v) = pick(room.grain, scene), pick(room.shift, scene)
    width = pick(sample_width.view(-1), where) * grain
    factor = pattern(u * grain + shift_u, v * grain + shift_v, width, pick(room.tile, scene))
    put(rgb.view(3, -1), where, pick(base, scene) * factor.clamp_min(0.15))


def _paint_objects(scenes: Scenes, hits: Hits, sample_width: Tensor, rgb: Tensor) -> None:
    where = (hits.owner >= FIRST_OBJECT).view(-1).nonzero()[:, 0]
    scene = where // hits.owner.shape[1]
    places = scenes.shape.shape[1]
    objects = scene * places + pick(hits.owner.view(-1), where) - FIRST_OBJECT
    x, y, z = pick(hits.point.flatten(1), where) - pick(scenes.position.flatten(1), objects)
    # Projected along the usual line of sight: no visible side of a solid is far from square to it.
    u, v = 0.8 * x + 0.2 * y, 0.55 * z + 0.8 * y
    tile = (pick(scenes.room.tile, scene) + objects % places) % 8
    grain = noise(tile, u * 0.7, v * 0.7, pick(sample_width.view(-1), where) * 0.7)
    colour = pick(palette.object_rgb(rgb.device).T, pick(scenes.colour.view(-1), objects))
    put(rgb.view(3, -1), where, colour * (1 + _OBJECT_GRAIN * grain))
