"""From surfaces and light to the colour that reaches the eye."""

import torch
from torch import Tensor

from models.data.world.names import MATERIALS
from models.data.world.occlusion import Exposure
from models.data.world.scenes import Scenes
from models.data.world.tracing import FIRST_OBJECT, Hits
from models.data.world.vectors import dot, pick, put

_EXPOSURE = 1.08
_SHOULDER = 0.16  # how early bright light is held back
_SHINY = MATERIALS.index("shiny")


def shade(scenes: Scenes, rays: Tensor, hits: Hits, exposure: Exposure, rgb: Tensor) -> Tensor:
    """Linear RGB [3, B, P] in 0..1 seen along the rays, on surfaces of colour `rgb` [3, B, P]."""
    light = scenes.light
    upward = 0.5 + 0.5 * hits.normal[1]  # the share of the sky above, the rest is table
    bounced = light.ambient * (0.35 + 1.1 * scenes.room.table_rgb)
    around = torch.lerp(bounced[:, :, None], light.ambient[:, :, None], upward) * exposure.sky
    seen = (rgb * (around + light.colour[:, :, None] * exposure.lamp)).contiguous()
    _polish(scenes, rays, hits, exposure, seen)
    seen = seen * _EXPOSURE
    return (seen / (1 + _SHOULDER * seen)).clamp(0, 1)


def to_pixels(linear: Tensor, size_px: int, supersample: int) -> Tensor:
    """Average the samples of each pixel and encode: [3, B, P] linear -> [B, H, W, 3] uint8."""
    channels, scenes, _ = linear.shape
    blocks = linear.view(channels, scenes, size_px, supersample, size_px, supersample)
    encoded = blocks.mean((3, 5)).pow(1 / 2.2) * 255
    return encoded.round().to(torch.uint8).permute(1, 2, 3, 0).contiguous()


def _polish(scenes: Scenes, rays: Tensor, hits: Hits, exposure: Exposure, seen: Tensor) -> None:
    """Let shiny objects mirror the lamp, a window and a hint of the room, in place."""
    samples = hits.owner.shape[1]
    place = (hits.owner - FIRST_OBJECT).clamp_min(0)
    shiny = (scenes.material.gather(1, place) == _SHINY) & (hits.owner >= FIRST_OBJECT)
    where = shiny.view(-1).nonzero()[:, 0]
    if not len(where):
        return
    scene = where // samples
    ray, normal = pick(rays.flatten(1), where), pick(hits.normal.flatten(1), where)
    facing = dot(ray, normal)
    mirrored = ray - 2 * facing * normal
    towards = pick(scenes.light.direction, scene)
    lit = (pick(exposure.lamp.view(-1), where) > 0).to(seen.dtype)
    gleam = dot(mirrored, towards).clamp_min(0) ** 90 * 1.5 * lit
    edge_on = 0.045 + 0.5 * (1 + facing).clamp(0, 1) ** 4
    wall, table = pick(scenes.room.wall_rgb, scene), pick(scenes.room.table_rgb, scene)
    room = torch.lerp(table, wall, ((mirrored[1] + 0.15) * 4).clamp(0, 1))
    room = room * (0.75 + 0.9 * mirrored[1].clamp_min(0))
    reflected = edge_on * room * pick(exposure.sky.view(-1), where)
    lamp_rgb = pick(scenes.light.colour, scene)
    window = _window(mirrored, towards)
    flat = seen.view(3, -1)
    dimmed = pick(flat, where) * (1 - 0.6 * edge_on)
    put(flat, where, dimmed + reflected + lamp_rgb * (gleam + window))


def _window(mirrored: Tensor, towards: Tensor) -> Tensor:
    """A soft bright window across the room from the lamp, as in a photographer's studio."""
    aside = mirrored[0] * towards[0].sign()
    across = torch.sigmoid(26 * (0.15 - (aside + 0.45).abs()))
    upright = torch.sigmoid(22 * (0.22 - (mirrored[1] - 0.5).abs()))
    return 0.22 * across * upright
