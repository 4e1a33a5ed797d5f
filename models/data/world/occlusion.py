"""What keeps light from a point: objects between it and the lamp, and whatever crowds its sky."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.data.world.scenes import Scenes
from models.data.world.tracing import FIRST_OBJECT, TABLE, WALL, Hits, pair_up, to_local
from models.data.world.vectors import dot, normalise

_LIFT = 2e-3  # metres off a surface, so that it does not shade itself
_LAMP_RADIUS = 0.085  # at distance one


@dataclass(frozen=True)
class Exposure:
    """How a point is exposed to light."""

    towards: Tensor  # [3, B, P] unit, to the part of the lamp this sample looks at
    lamp: Tensor  # [B, P] cosine at which the lamp is seen, zero in its shadow
    sky: Tensor  # [B, P] in 0..1, the share of the room's light that arrives


def expose(scenes: Scenes, hits: Hits, supersample: int) -> Exposure:
    """Look from every point to the lamp and around. The samples of one pixel look at different parts
    of the lamp, and so its shadows are soft."""
    towards = _towards_lamp(scenes, hits.owner.shape[1], supersample)
    cosine = dot(hits.normal, towards).clamp_min(0)
    point = hits.point + _LIFT * hits.normal
    gap = scenes.position[..., None] - point[:, :, None]  # [3, B, K, P]
    apart = dot(gap, gap)  # [B, K, P]
    places = torch.arange(scenes.shape.shape[1], device=point.device)[:, None]
    other = scenes.present[..., None] & (hits.owner[:, None] != FIRST_OBJECT + places)
    shaded = _in_shadow(scenes, point, towards, gap, apart, other & (cosine > 0)[:, None])
    sky = _open_sky(scenes, hits, gap, apart, other)
    return Exposure(towards, cosine.masked_fill(shaded, 0.0), sky)


def _towards_lamp(scenes: Scenes, rays: int, supersample: int) -> Tensor:
    direction = scenes.light.direction[:, :, None]
    if supersample == 1:
        return direction.expand(3, len(scenes), rays)
    across = round(rays**0.5)
    step = torch.arange(across, device=direction.device) % supersample
    x = (step.repeat(across) + 0.5) / supersample * 2 - 1  # [P]
    y = (step.repeat_interleave(across) + 0.5) / supersample * 2 - 1
    # A square turned by some angle that lines up with no edge in the picture.
    aside, along = 0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y
    offset = torch.stack([aside, torch.zeros_like(aside), along])
    return normalise(direction + _LAMP_RADIUS * offset[:, None])


def _in_shadow(
    scenes: Scenes, point: Tensor, towards: Tensor, gap: Tensor, apart: Tensor, other: Tensor
) -> Tensor:
    """Bool [B, P]: an object that is not the point's own stands before the lamp."""
    along = dot(gap, towards[:, :, None])  # [B, K, P]
    near = other & (along > 0) & (apart - along * along < (scenes.reach**2)[..., None])
    shaded = torch.zeros(near.shape[0] * near.shape[2], dtype=torch.bool, device=near.device)
    flat_point, flat_towards = point.flatten(1), towards.flatten(1)
    for pairs in pair_up(scenes, near):
        objects = pairs.object
        centred = flat_point[:, pairs.ray] - scenes.position.flatten(1)[:, objects]
        start = to_local(scenes, objects, centred)
        ray = to_local(scenes, objects, flat_towards[:, pairs.ray])
        t = pairs.solid.hit(start, ray, scenes.size.flatten(1)[:, objects])
        shaded[pairs.ray[t.isfinite()]] = True
    return shaded.view(near.shape[0], near.shape[2])


def _open_sky(scenes: Scenes, hits: Hits, gap: Tensor, apart: Tensor, other: Tensor) -> Tensor:
    """Each object hides about what a ball of its volume would; table and wall darken where they meet."""
    width = scenes.size.prod(0).pow(2 / 3)[..., None]  # [B, K, 1] its radius, squared
    apart = apart.clamp_min(1e-4)
    seen = dot(gap, hits.normal[:, :, None]).clamp_min(0) * apart.rsqrt()
    hidden = (seen * (width / apart).clamp_max(1.0) * other).sum(1)
    sky = (1 - 1.1 * hidden).clamp_min(0.15)
    height = hits.point[1]
    to_wall = (scenes.room.wall_z[:, None] - hits.point[2]).clamp_min(0)
    corner = torch.where(hits.owner == WALL, height, to_wall)
    strength = torch.where(hits.owner <= WALL, 0.32, 0.0)
    sky = sky * (1 - strength * torch.exp(-3.5 * corner))
    on_object = hits.owner > max(TABLE, WALL)
    return torch.where(on_object, sky * (0.5 + 0.5 * (height * 3.5).clamp(0, 1)), sky)
