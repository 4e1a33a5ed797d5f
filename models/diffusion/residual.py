"""The convolutional blocks that the autoencoder and the noise network share."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

# Legend: B batch, C D channels, h w cells of a map, E width of the time embedding.


class ResidualBlock(nn.Module):
    """Two convolutions, each after its normalisation, beside a shortcut (He et al. 2016).

    Where there is a time embedding it is added, per channel, between the two.
    """

    def __init__(
        self, channels: int, out: int, *, groups: int, eps: float, time_width: int | None = None
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, eps)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1)
        self.time = nn.Linear(time_width, out) if time_width else None
        self.norm2 = nn.GroupNorm(groups, out, eps)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """`x` [B, C, h, w], `time` [B, E] -> [B, D, h, w]."""
        y: Tensor = self.conv1(F.silu(self.norm1(x)))
        if self.time is not None:
            assert time is not None
            y = y + self.time(F.silu(time))[:, :, None, None]
        y = self.conv2(F.silu(self.norm2(y)))
        skipped: Tensor = self.skip(x)
        return skipped + y


class Downsample(nn.Module):
    """Half the resolution by a strided convolution.

    `after` pads below and to the right alone, as Stable Diffusion's autoencoder does; `around` all
    four sides.
    """

    def __init__(self, channels: int, padding: Literal["after", "around"]) -> None:
        super().__init__()
        self.after = padding == "after"
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=0 if self.after else 1)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)) if self.after else x)
        return halved


class Upsample(nn.Module):
    """Twice the resolution by repetition, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        doubled: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return doubled
