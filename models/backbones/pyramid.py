"""The feature pyramid: what deep layers know, brought to the resolution of shallow ones."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

# Legend: B batch, D channels of a backbone's map, P channels of the pyramid, h w cells.

Norm = Literal["none", "batch", "group"]

#: Where the level above the backbone's coarsest comes from: its map, or the pyramid's.
ExtraSource = Literal["backbone", "pyramid"]


class FeaturePyramid(nn.Module):
    """Lin et al. 2017: 1x1 laterals, nearest upsampling, sums, 3x3 outputs.

    `extra_levels` adds coarser levels by 3x3 convolutions of stride 2, a ReLU before each but the
    first (RetinaNet's P6 and P7). `kept_levels` gives only that many of the finest an output.
    """

    def __init__(
        self,
        in_channels: tuple[int, ...],
        channels: int,
        *,
        extra_levels: int = 0,
        extra_source: ExtraSource = "pyramid",
        norm: Norm = "none",
        kept_levels: int | None = None,
    ) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(convolution(d, channels, 1, norm) for d in in_channels)
        if extra_levels and kept_levels is not None:
            raise ValueError("extra levels stand on the coarsest one: keep all, or add none")
        self.outputs = nn.ModuleList(
            convolution(channels, channels, 3, norm) for _ in in_channels[:kept_levels]
        )
        self.extra_source = extra_source
        first = in_channels[-1] if extra_source == "backbone" else channels
        self.extras = nn.ModuleList(
            convolution(first if i == 0 else channels, channels, 3, norm, stride=2)
            for i in range(extra_levels)
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Maps [B, D, h, w], finest first -> maps [B, P, h, w], finest first."""
        laterals = [lateral(x) for lateral, x in zip(self.laterals, features, strict=True)]
        levels = [laterals[-1]]
        for lateral in reversed(laterals[:-1]):
            upsampled = F.interpolate(levels[0], size=lateral.shape[-2:], mode="nearest")
            levels.insert(0, lateral + upsampled)
        # Not strict: levels beyond those that are kept have no output.
        levels = [output(x) for output, x in zip(self.outputs, levels, strict=False)]
        x = features[-1] if self.extra_source == "backbone" else levels[-1]
        for i, extra in enumerate(self.extras):
            x = extra(F.relu(x) if i else x)
            levels.append(x)
        return levels


def convolution(
    in_channels: int, channels: int, kernel: int, norm: Norm, *, stride: int = 1
) -> nn.Module:
    """A convolution that keeps h and w at stride 1, normalised if asked, without activation."""
    plain = nn.Conv2d(
        in_channels, channels, kernel, stride, padding=kernel // 2, bias=norm == "none"
    )
    nn.init.kaiming_uniform_(plain.weight, a=1)
    if plain.bias is not None:
        nn.init.zeros_(plain.bias)
        return plain
    if norm == "batch":
        return nn.Sequential(plain, nn.BatchNorm2d(channels))
    return nn.Sequential(plain, nn.GroupNorm(min(32, channels // 8), channels))
