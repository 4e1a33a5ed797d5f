"""Augmentation of whole batches: windows on the images, mirrors, colour."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from models.data.colour import recolour, sharpen, symmetric

# Legend: B batch, H W pixels. All randomness comes from the generator that is handed in.


@dataclass(frozen=True)
class AugmentSpec:
    """How far an image may be changed. Amounts are drawn evenly; 0 or (1, 1) changes nothing.

    `zoom` is the range of a window's side, in units of what evaluation sees: less crops, more shows
    the image smaller. `aspect` and `shift` are fractions of it. `flip` is a probability.
    `brightness`, `contrast` and `saturation` scale by 1 ± the amount, `tint` does so for each
    channel alone. `sharpness` blurs or sharpens. A box stays while `least_share` of it is seen.
    """

    zoom: tuple[float, float] = (0.7, 1.3)
    aspect: float = 0.1
    shift: float = 0.1
    flip: float = 0.5
    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.3
    tint: float = 0.05
    sharpness: float = 0.5
    least_share: float = 0.4
    least_side_px: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise ValueError(f"zoom must be a rising range above 0, got {self.zoom}")


def draw_windows(spec: AugmentSpec, windows_px: Tensor, generator: Generator) -> Tensor:
    """Windows around those that evaluation sees: float [B, 4] -> [B, 4]."""
    count = len(windows_px)
    low, high = spec.zoom
    zoom = low * (high / low) ** torch.rand(count, 1, generator=generator)  # even in its logarithm
    stretch = (spec.aspect * symmetric((count, 1), generator) / 2).exp()
    side = (windows_px[:, 2:] - windows_px[:, :2]) * zoom
    side = side * torch.cat([stretch, 1 / stretch], 1)  # [B, 2]
    centre = (windows_px[:, 2:] + windows_px[:, :2]) / 2
    centre = centre + spec.shift * side * symmetric((count, 2), generator)
    return torch.cat([centre - side / 2, centre + side / 2], 1)


def draw_mirrored(spec: AugmentSpec, count: int, generator: Generator) -> Tensor:
    """bool [count]"""
    return torch.rand(count, generator=generator) < spec.flip


def augment_pixels(
    spec: AugmentSpec, images: Tensor, mirrored: Tensor, generator: Generator
) -> Tensor:
    """uint8 [B, H, W, 3] -> uint8 [B, H, W, 3]: mirrored where told, recoloured, sharpened."""
    planes = images.permute(0, 3, 1, 2).float()  # [B, 3, H, W]
    planes = planes.flip(3).where(mirrored[:, None, None, None], planes)
    planes = recolour(spec, planes, generator, peak=255)
    planes = sharpen(spec, planes, generator, peak=255)
    return planes.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
