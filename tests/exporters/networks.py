"""Networks small enough to export in a moment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.classification import ClassifierSpec

LABELS = ("ball", "cube", "cone", "torus", "prism")
SIZE_PX = 16


class SmallClassifier(nn.Module):
    """Two convolutions and a linear layer: uint8 [B, 16, 16, 3] -> logits [B, 5]."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layers = nn.Sequential(
                nn.Conv2d(3, 24, 3, stride=2, padding=1),
                nn.BatchNorm2d(24),
                nn.ReLU(),
                nn.Conv2d(24, 48, 3, stride=2, padding=1),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(48, len(LABELS)),
            )

    def forward(self, image: Tensor) -> Tensor:
        pixels = image.permute(0, 3, 1, 2).float() / 64 - 2  # [B, 3, 16, 16]
        logits: Tensor = self.layers(pixels) * 20
        return logits


def small_spec() -> ClassifierSpec:
    return ClassifierSpec(backbone="small", labels=LABELS, input_size=(SIZE_PX, SIZE_PX))


def images(count: int, *, size_px: int = SIZE_PX, seed: int = 0) -> Tensor:
    """uint8 [B, H, W, 3], smooth enough that a network answers to what is in them."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 3, 3, generator=generator) * 255
    fine = nn.functional.interpolate(coarse, (size_px, size_px), mode="bilinear")
    return fine.to(torch.uint8).permute(0, 2, 3, 1).contiguous()
