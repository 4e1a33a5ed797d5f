"""The noise network: a U-Net that reads a text (Rombach et al. 2022)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.diffusion.attention import TextTransformer
from models.diffusion.residual import Downsample, ResidualBlock, Upsample
from models.diffusion.spec import UNetSpec

# Legend: B batch, C channels, h w cells of the latent map, T tokens, D width of the text, E width
# of the time embedding.

_EPS = 1e-5
_LONGEST_PERIOD = 10_000.0


class UNet(nn.Module):
    """Noised latents, time and text in; noise or v out, as it was trained."""

    def __init__(self, spec: UNetSpec) -> None:
        super().__init__()
        self.spec = spec
        width = spec.channels[0]
        self.time = TimeEmbedding(width)
        self.pooled = nn.Linear(spec.context, 4 * width) if spec.pooled else None
        self.stem = nn.Conv2d(spec.latent_channels, width, 3, padding=1)
        self.down = nn.ModuleList()
        skips = [width]
        for number, channels in enumerate(spec.channels):
            units: list[nn.Module] = []
            for _ in range(spec.blocks):
                units.append(Unit(spec, width, channels, attention=spec.attention[number]))
                skips.append(width := channels)
            if number < len(spec.channels) - 1:
                units.append(Downsample(channels, "around"))
                skips.append(channels)
            self.down.append(nn.ModuleList(units))
        self.middle = nn.ModuleList(
            [Unit(spec, width, width, attention=True), Unit(spec, width, width, attention=False)]
        )
        self.up = nn.ModuleList()
        for number, channels in reversed(list(enumerate(spec.channels))):
            units = []
            for _ in range(spec.blocks + 1):
                units.append(
                    Unit(spec, width + skips.pop(), channels, attention=spec.attention[number])
                )
                width = channels
            if number > 0:
                units.append(Upsample(channels))
            self.up.append(nn.ModuleList(units))
        self.norm = nn.GroupNorm(spec.groups, width, _EPS)
        self.head = nn.Conv2d(width, spec.latent_channels, 3, padding=1)

    def forward(self, latents: Tensor, times: Tensor, text: Tensor) -> Tensor:
        """`latents` [B, C, h, w], `times` float [B], `text` [B, T, D] -> [B, C, h, w]."""
        time = self.time(times)  # [B, E]
        if self.pooled is not None:
            time = time + self.pooled(text.mean(1))
        x = self.stem(latents)
        skips = [x]
        for level in self.down:
            assert isinstance(level, nn.ModuleList)
            for unit in level:
                x = unit(x, time, text) if isinstance(unit, Unit) else unit(x)
                skips.append(x)
        for unit in self.middle:
            x = unit(x, time, text)
        for level in self.up:
            assert isinstance(level, nn.ModuleList)
            for unit in level:
                if isinstance(unit, Unit):
                    x = unit(torch.cat([x, skips.pop()], 1), time, text)
                else:
                    x = unit(x)
        answer: Tensor = self.head(F.silu(self.norm(x)))
        return answer


class Unit(nn.Module):
    """A residual block, and attention after it where the level has any."""

    def __init__(self, spec: UNetSpec, channels: int, out: int, *, attention: bool) -> None:
        super().__init__()
        time_width = 4 * spec.channels[0]
        self.block = ResidualBlock(
            channels, out, groups=spec.groups, eps=_EPS, time_width=time_width
        )
        self.attention = (
            TextTransformer(out, spec.context, spec.heads, groups=spec.groups)
            if attention
            else None
        )

    def forward(self, x: Tensor, time: Tensor, text: Tensor) -> Tensor:
        x = self.block(x, time)
        if self.attention is not None:
            x = self.attention(x, text)
        return x


class TimeEmbedding(nn.Module):
    """Sines and cosines of the time, then two layers; E is four times `width`."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        places = torch.arange(width // 2) / (width // 2)
        frequencies = torch.exp(-math.log(_LONGEST_PERIOD) * places)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.inner = nn.Linear(width, 4 * width)
        self.outer = nn.Linear(4 * width, 4 * width)

    def forward(self, times: Tensor) -> Tensor:
        """Float [B], from 0 to the number of training steps -> [B, E]."""
        angles = times[:, None] * self.frequencies  # [B, width / 2]
        waves = torch.cat([angles.cos(), angles.sin()], 1)
        embedded: Tensor = self.outer(F.silu(self.inner(waves)))
        return embedded
