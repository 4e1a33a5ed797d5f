"""Rendering: from scenes to pictures and every ground truth that belongs to them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.data.world.boxes import Boxes, visible_boxes
from models.data.world.occlusion import expose
from models.data.world.scenes import Camera, Scenes
from models.data.world.shading import shade, to_pixels
from models.data.world.surfaces import surface_rgb
from models.data.world.tracing import FIRST_OBJECT, Hits, trace
from models.data.world.vectors import dot


@dataclass(frozen=True)
class Truth:
    """What a perfect model would answer about the left image, at the middle of each pixel."""

    depth: Tensor  # [B, H, W] float32, metres along the optical axis
    instances: Tensor  # [B, H, W] uint8, 0 for table and wall, 1 + k for object k
    classes: Tensor  # [B, H, W] uint8, index in CLASS_NAMES
    boxes: Boxes


@dataclass(frozen=True)
class Views:
    """Pictures of B scenes."""

    image: Tensor  # [B, H, W, 3] uint8, sRGB
    right: Tensor | None  # [B, H, W, 3] uint8, from one baseline further right
    truth: Truth | None


@torch.no_grad()
def render_views(
    scenes: Scenes,
    *,
    size_px: int,
    supersample: int = 1,
    stereo: bool = False,
    truths: bool = True,
) -> Views:
    """Picture the scenes, size_px square, with supersample² samples a pixel."""
    camera = scenes.camera
    image, hits = _picture(scenes, camera, size_px, supersample)
    right = _picture(scenes, camera.right_eye(), size_px, supersample)[0] if stereo else None
    if not truths:
        return Views(image, right, None)
    return Views(image, right, _truth(scenes, size_px, hits if supersample == 1 else None))


def _picture(scenes: Scenes, camera: Camera, size_px: int, supersample: int) -> tuple[Tensor, Hits]:
    rays, _ = camera.cast(size_px, supersample)
    hits = trace(scenes, camera.eye, rays)
    exposure = expose(scenes, hits, supersample)
    slant = dot(rays, hits.normal).abs().clamp_min(0.08)
    sample_angle = 2 * camera.half_width[:, None] / (size_px * supersample)
    rgb = surface_rgb(scenes, hits, hits.distance * sample_angle * slant.rsqrt())
    return to_pixels(shade(scenes, rays, hits, exposure, rgb), size_px, supersample), hits


def _truth(scenes: Scenes, size_px: int, hits: Hits | None) -> Truth:
    """From rays through the middles of the pixels: those already cast, if there is one a pixel."""
    rays, depth_per_length = scenes.camera.cast(size_px)
    hits = hits or trace(scenes, scenes.camera.eye, rays)
    square = (len(scenes), size_px, size_px)
    places = scenes.shape.shape[1]
    instances = (hits.owner - (FIRST_OBJECT - 1)).clamp_min(0)
    shape = scenes.shape.gather(1, (instances - 1).clamp(0, places - 1))
    classes = torch.where(instances > 0, FIRST_OBJECT + shape, hits.owner)
    instances = instances.to(torch.uint8).view(square)
    return Truth(
        depth=(hits.distance * depth_per_length).view(square),
        instances=instances,
        classes=classes.to(torch.uint8).view(square),
        boxes=visible_boxes(instances, places),
    )
