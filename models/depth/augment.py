"""Augmentation of stereo pairs: what changes must change both views alike."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

# Legend: B pairs, H W pixels. All randomness comes from the generator that is handed in.


@dataclass(frozen=True)
class AugmentSpec:
    """Godard et al. 2017, section 4: with probability `flip` a pair is mirrored, with probability
    `recolour` its gamma, brightness and colours are changed by factors drawn from these ranges.
    """

    flip: float = 0.5
    recolour: float = 0.5
    gamma: tuple[float, float] = (0.8, 1.2)
    brightness: tuple[float, float] = (0.5, 2.0)
    colour: tuple[float, float] = (0.8, 1.2)

    def __post_init__(self) -> None:
        for name in ("gamma", "brightness", "colour"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} must be a rising range above 0, got {(low, high)}")


NO_AUGMENT = AugmentSpec(flip=0, recolour=0)


def augment_pairs(
    spec: AugmentSpec, left: Tensor, right: Tensor, generator: Generator
) -> tuple[Tensor, Tensor]:
    """uint8 [B, H, W, 3] both -> the same.

    A mirror swaps the views: what the right eye saw becomes, mirrored, what the left one sees.
    """
    mirrored = torch.rand(len(left), generator=generator) < spec.flip
    tables = _tables(spec, len(left), generator)
    pairs = []
    for i, (first, second) in enumerate(zip(left, right, strict=True)):
        if mirrored[i]:
            first, second = second.flip(1), first.flip(1)
        table = tables[i]
        if table is not None:
            first, second = _look_up(table, first), _look_up(table, second)
        pairs.append((first, second))
    firsts, seconds = zip(*pairs, strict=True)
    return torch.stack(firsts), torch.stack(seconds)


def _tables(spec: AugmentSpec, count: int, generator: Generator) -> list[Tensor | None]:
    """For each pair what becomes of each value of each channel, uint8 [3, 256]; or nothing."""
    chosen = torch.rand(count, generator=generator) < spec.recolour
    gamma = _between(spec.gamma, (count, 1, 1), generator)
    brightness = _between(spec.brightness, (count, 1, 1), generator)
    colour = _between(spec.colour, (count, 3, 1), generator)
    values = torch.linspace(0, 1, 256)
    tables = (values**gamma * brightness * colour * 255).round().clamp(0, 255).to(torch.uint8)
    return [table if use else None for table, use in zip(tables, chosen, strict=True)]


def _between(limits: tuple[float, float], shape: tuple[int, ...], generator: Generator) -> Tensor:
    low, high = limits
    return low + (high - low) * torch.rand(shape, generator=generator)


def _look_up(table: Tensor, image: Tensor) -> Tensor:
    planes = [table[channel][image[..., channel].long()] for channel in range(3)]
    return torch.stack(planes, -1)
