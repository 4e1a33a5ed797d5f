"""Changes of colour and sharpness that leave everything where it is.

B batch, H W pixels. The order in which numbers are drawn is part of what a seed means.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


class ColourSpec(Protocol):
    """How far each change may go, either way; 0 leaves it out."""

    @property
    def brightness(self) -> float: ...
    @property
    def tint(self) -> float: ...
    @property
    def saturation(self) -> float: ...
    @property
    def contrast(self) -> float: ...
    @property
    def sharpness(self) -> float: ...


def recolour(spec: ColourSpec, planes: Tensor, generator: Generator, *, peak: float) -> Tensor:
    """float [B, 3, H, W] from 0 to `peak`, and so the answer.

    All changes of colour are linear in a pixel: one matrix and one offset an image.
    """
    batch = len(planes)
    gain = 1 + spec.brightness * symmetric((batch, 1, 1), generator)
    gain = gain * (1 + spec.tint * symmetric((batch, 1, 3), generator))  # [B, 1, 3]
    saturation = 1 + spec.saturation * symmetric((batch, 1, 1), generator)
    contrast = 1 + spec.contrast * symmetric((batch, 1, 1), generator)
    grey = torch.full((3, 3), 1 / 3)
    matrix = (grey + saturation * (torch.eye(3) - grey)) * gain  # [B, 3, 3]
    mean = (planes.mean((2, 3))[:, None] * gain).mean(2, keepdim=True)  # [B, 1, 1]
    flat = torch.baddbmm((1 - contrast) * mean, contrast * matrix, planes.flatten(2))
    return flat.view_as(planes).clamp_(0, peak)


def sharpen(spec: ColourSpec, planes: Tensor, generator: Generator, *, peak: float) -> Tensor:
    """Move every pixel away from the mean of its four neighbours, or towards it."""
    if not spec.sharpness:
        return planes
    amount = spec.sharpness * symmetric((len(planes), 1, 1, 1), generator)
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    around = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    around += padded[..., 1:-1, :-2]
    around += padded[..., 1:-1, 2:]
    return torch.lerp(planes, around.mul_(0.25), -amount).clamp_(0, peak)


def symmetric(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Uniform from -1 to 1."""
    return torch.rand(shape, generator=generator) * 2 - 1
