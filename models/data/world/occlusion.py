"""What keeps light from a point: objects between it and the lamp, and whatever crowds its sky."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.data.world.scenes import Scenes
from models.data.world.tracing import FIRST_OBJECT, TABLE, WALL, Hits, pair_up, to_local
from models.data.world.vectors import dot, normalise, pick

_LIFT = 2e-3  # metres off a surface, so that it does not shade itself
_LAMP_RADIUS = 0.11  # at distance one
_GOLDEN_ANGLE = 2.39996323


@dataclass(frozen=True)
class Exposure:
    """How a point is exposed to light."""

    lamp: Tensor  # [B, P] cosine at which the lamp is seen, less what stands before it
    sky: Tensor  # [B, P] in 0..1, the share of the room's light that arrives


def expose(scenes: Scenes, hits: Hits, supersample: int) -> Exposure:
    """Look from every point to the lamp and around.

    The samples of a pixel and of its neighbours look at different parts of the lamp; what they see
    is averaged over the table and the wall, and so the shadows there are soft.
    """
    towards = _towards_lamp(scenes, hits.owner.shape[1], supersample)
    cosine = dot(hits.normal, scenes.light.direction[:, :, None]).clamp_min(0)
    point = hits.point + _LIFT * hits.normal
    near, hidden = _look_around(scenes, hits, point, towards)
    shaded = _in_shadow(scenes, point, towards, near & (cosine > 0)[:, None])
    sky = _open_sky(scenes, hits, hidden)
    visible = (~shaded).to(cosine.dtype)
    if supersample > 1:
        visible = _share_out(visible, hits.owner < FIRST_OBJECT, supersample)
    return Exposure(cosine * visible, sky)


def _towards_lamp(scenes: Scenes, rays: int, supersample: int) -> Tensor:
    direction = scenes.light.direction[:, :, None]
    if supersample == 1:
        return direction.expand(3, len(scenes), rays)
    across = round(rays**0.5)
    sample = torch.arange(across, device=direction.device)
    within, parity = sample % supersample, sample // supersample % 2
    number = 4 * supersample * within[:, None] + 4 * within + 2 * parity[:, None] + parity
    # Points of a sunflower over the lamp's disc: four neighbouring pixels share all of them out.
    number = number.view(-1).to(torch.float32) + 0.5  # [P]
    radius = (number / (4 * supersample**2)).sqrt()
    aside, along = radius * (number * _GOLDEN_ANGLE).cos(), radius * (number * _GOLDEN_ANGLE).sin()
    offset = torch.stack([aside, torch.zeros_like(aside), along])
    return normalise(direction + _LAMP_RADIUS * offset[:, None])


def _share_out(visible: Tensor, flat: Tensor, supersample: int) -> Tensor:
    """Average over each block of 2 x 2 pixels, among the samples [B, P] that are marked flat."""
    across = round(visible.shape[1] ** 0.5)
    square = (len(visible), 1, across, across)
    weight = flat.to(visible.dtype).view(square)

    def pool(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, 2 * supersample, stride=1, padding=supersample)[..., 1:, 1:]

    shared = pool(visible.view(square) * weight) / pool(weight).clamp_min(1e-6)
    return torch.where(flat, shared.reshape(visible.shape), visible)


def _look_around(
    scenes: Scenes, hits: Hits, point: Tensor, towards: Tensor
) -> tuple[Tensor, Tensor]:
    """Which other objects may stand before the lamp, bool [B, K, P], and how much of the sky they
    hide, [B, P]: each about what a ball of its volume would."""
    near, hidden = [], torch.zeros_like(hits.distance)
    width = scenes.size.prod(0).pow(2 / 3)  # [B, K] the ball's radius, squared
    for k in range(scenes.shape.shape[1]):  # one by one: all together would not stay in a cache
        gap = scenes.position[:, :, k, None] - point  # [3, B, P]
        apart, along = dot(gap, gap), dot(gap, towards)
        other = scenes.present[:, k, None] & (hits.owner != FIRST_OBJECT + k)
        reach = (scenes.reach[:, k, None]) ** 2
        near.append(other & (along > 0) & (apart - along * along < reach))
        apart = apart.clamp_min(1e-4)
        seen = dot(gap, hits.normal).clamp_min(0) * apart.rsqrt()
        hidden += seen * (width[:, k, None] / apart).clamp_max(1.0) * other
    return torch.stack(near, dim=1), hidden


def _in_shadow(scenes: Scenes, point: Tensor, towards: Tensor, near: Tensor) -> Tensor:
    """Bool [B, P]: one of the objects in question does stand before the lamp."""
    shaded = torch.zeros(near.shape[0] * near.shape[2], dtype=torch.bool, device=near.device)
    flat_point, flat_towards = point.flatten(1), towards.flatten(1)
    for pairs in pair_up(scenes, near):
        objects = pairs.object
        centred = pick(flat_point, pairs.ray) - pick(scenes.position.flatten(1), objects)
        start = to_local(scenes, objects, centred)
        ray = to_local(scenes, objects, pick(flat_towards, pairs.ray))
        t = pairs.solid.hit(start, ray, pick(scenes.size.flatten(1), objects))
        shaded[pairs.ray[t.isfinite()]] = True
    return shaded.view(near.shape[0], near.shape[2])


def _open_sky(scenes: Scenes, hits: Hits, hidden: Tensor) -> Tensor:
    """What the objects leave; table and wall darken where they meet, objects near the table."""
    sky = (1 - 1.1 * hidden).clamp_min(0.15)
    height = hits.point[1]
    to_wall = (scenes.room.wall_z[:, None] - hits.point[2]).clamp_min(0)
    corner = torch.where(hits.owner == WALL, height, to_wall)
    strength = torch.where(hits.owner <= WALL, 0.32, 0.0)
    sky = sky * (1 - strength * torch.exp(-3.5 * corner))
    on_object = hits.owner > max(TABLE, WALL)
    return torch.where(on_object, sky * (0.5 + 0.5 * (height * 3.5).clamp(0, 1)), sky)
