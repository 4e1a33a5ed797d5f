"""Augmentation of whole batches, mild in colour, for colour may be the label."""

import io
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

from models.data.colour import recolour, sharpen, symmetric

# Legend: B batch, H W pixels. All randomness comes from the generator that is handed in.


@dataclass(frozen=True)
class AugmentSpec:
    """How far an image may be changed. Amounts are drawn evenly; 0 or (1, 1) changes nothing.

    `zoom` is the range of the visible part's side, `aspect` and `shift` fractions of it. `flip` is
    a probability. `brightness`, `contrast` and `saturation` scale by 1 ± the amount, `tint` does
    so for each channel alone. `sharpness` blurs or sharpens. `noise` is the largest deviation in
    [0, 1]. `rescale` is the probability of losing detail, as by enlarging a smaller image, and
    `jpeg` that of compressing at a quality of 30 to 95.
    """

    zoom: tuple[float, float] = (0.8, 1.1)
    aspect: float = 0.1
    shift: float = 0.06
    flip: float = 0.5
    brightness: float = 0.15
    contrast: float = 0.15
    saturation: float = 0.1
    tint: float = 0.02
    sharpness: float = 0.5
    noise: float = 0.02
    rescale: float = 0.2
    jpeg: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.zoom[0] <= self.zoom[1]:
            raise ValueError(f"zoom must be a rising range above 0, got {self.zoom}")


NO_AUGMENT = AugmentSpec(
    zoom=(1.0, 1.0), aspect=0, shift=0, flip=0, brightness=0, contrast=0, saturation=0,
    tint=0, sharpness=0, noise=0, rescale=0, jpeg=0,
)  # fmt: skip


def draw_windows(spec: AugmentSpec, count: int, generator: Generator) -> Tensor:
    """Boxes x1 y1 x2 y2, float [count, 4], relative to the image that evaluation sees."""
    low, high = spec.zoom
    side = low + (high - low) * torch.rand(count, 1, generator=generator)
    stretch = (spec.aspect * symmetric((count, 1), generator) / 2).exp()
    half = torch.cat([side * stretch, side / stretch], 1) / 2  # [count, 2]
    centre = 0.5 + spec.shift * symmetric((count, 2), generator)
    return torch.cat([centre - half, centre + half], 1)


def augment_pixels(spec: AugmentSpec, images: Tensor, generator: Generator) -> Tensor:
    """uint8 [B, H, W, 3] -> uint8 [B, H, W, 3]: flipped, recoloured, degraded."""
    planes = images.permute(0, 3, 1, 2).contiguous().float().div_(255)  # [B, 3, H, W]
    batch = len(planes)
    mirrored = torch.rand(batch, generator=generator) < spec.flip
    planes = torch.where(mirrored[:, None, None, None], planes.flip(3), planes)
    planes = recolour(spec, planes, generator, peak=1)
    planes = sharpen(spec, planes, generator, peak=1)
    planes = _lose_detail(spec, planes, generator)
    if spec.noise:
        amount = spec.noise * torch.rand(batch, 1, 1, 1, generator=generator)
        planes = planes + amount * torch.randn(planes.shape, generator=generator)
    pixels = planes.mul(255).round_().clamp_(0, 255).to(torch.uint8)
    return _compress(spec, pixels, generator).permute(0, 2, 3, 1).contiguous()


def _lose_detail(spec: AugmentSpec, planes: Tensor, generator: Generator) -> Tensor:
    """Shrink part of the batch, all by one factor, and enlarge it again."""
    chosen = torch.rand(len(planes), generator=generator) < spec.rescale
    factor = float(0.5 + 0.5 * torch.rand(1, generator=generator))
    if not chosen.any():
        return planes
    height, width = planes.shape[2:]
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    small = F.interpolate(planes[chosen], size, mode="bilinear", antialias=True)
    planes = planes.clone()
    planes[chosen] = F.interpolate(small, (height, width), mode="bilinear")
    return planes


def _compress(spec: AugmentSpec, pixels: Tensor, generator: Generator) -> Tensor:
    chosen = torch.rand(len(pixels), generator=generator) < spec.jpeg
    qualities = torch.randint(30, 96, (len(pixels),), generator=generator)
    if not chosen.any():
        return pixels
    for index in chosen.nonzero()[:, 0].tolist():
        image = Image.fromarray(pixels[index].permute(1, 2, 0).numpy())
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=int(qualities[index]))
        with Image.open(stream) as compressed:
            pixels[index] = torch.from_numpy(np.array(compressed)).permute(2, 0, 1)
    return pixels
