"""The KL autoencoder: between pixels and the latent map in which painting is cheap."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.diffusion.attention import MapAttention
from models.diffusion.residual import Downsample, ResidualBlock, Upsample
from models.diffusion.spec import AutoencoderSpec

# Legend: B batch, H W pixels, C latent channels, h w cells of the latent map, D channels inside.

_EPS = 1e-6


class Autoencoder(nn.Module):
    """Rombach et al. 2022, section 3.1: an encoder into Gaussians, a decoder from samples of them.

    Pixels are float in [-1, 1], [B, 3, H, W], with sides that divide by the spec's stride.
    """

    def __init__(self, spec: AutoencoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        self.decoder = Decoder(spec)
        # 1 x 1 convolutions between the two, which published weights have.
        self.to_moments = nn.Conv2d(2 * spec.latent_channels, 2 * spec.latent_channels, 1)
        self.from_latents = nn.Conv2d(spec.latent_channels, spec.latent_channels, 1)

    def encode(self, pixels: Tensor) -> "Gaussian":
        """The distribution of the latents of each image."""
        moments = self.to_moments(self.encoder(pixels))  # [B, 2 C, h, w]
        count = self.spec.latent_channels
        return Gaussian(moments[:, :count], moments[:, count:].clamp(-30, 20))

    def decode(self, latents: Tensor) -> Tensor:
        """[B, C, h, w] -> pixels [B, 3, H, W], not clipped."""
        pixels: Tensor = self.decoder(self.from_latents(latents))
        return pixels


class Gaussian:
    """A diagonal Gaussian for every cell: `mean` and `log_variance`, both [B, C, h, w]."""

    def __init__(self, mean: Tensor, log_variance: Tensor) -> None:
        self.mean = mean
        self.log_variance = log_variance

    def sample(self) -> Tensor:
        return self.mean + (0.5 * self.log_variance).exp() * torch.randn_like(self.mean)

    def divergence(self) -> Tensor:
        """KL(self || standard normal) of each sample, in nats, [B]."""
        mean, log_variance = self.mean.float(), self.log_variance.float()
        return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum((1, 2, 3))


class Encoder(nn.Module):
    """Pixels [B, 3, H, W] -> [B, 2 C, h, w]."""

    def __init__(self, spec: AutoencoderSpec) -> None:
        super().__init__()
        self.patch = spec.patch
        self.stem = nn.Conv2d(3 * spec.patch**2, spec.channels[0], 3, padding=1)
        self.levels = nn.ModuleList()
        width = spec.channels[0]
        for number, channels in enumerate(spec.channels):
            blocks = [_block(spec, width if i == 0 else channels, channels)
                      for i in range(spec.blocks)]  # fmt: skip
            if number < len(spec.channels) - 1:
                blocks.append(Downsample(channels, "after"))
            self.levels.append(nn.Sequential(*blocks))
            width = channels
        self.middle = _middle(spec)
        self.norm = nn.GroupNorm(spec.groups, width, _EPS)
        self.head = nn.Conv2d(width, 2 * spec.latent_channels, 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.stem(F.pixel_unshuffle(pixels, self.patch) if self.patch > 1 else pixels)
        for level in self.levels:
            x = level(x)
        moments: Tensor = self.head(F.silu(self.norm(self.middle(x))))
        return moments


class Decoder(nn.Module):
    """[B, C, h, w] -> pixels [B, 3, H, W]; its levels stand from coarse to fine."""

    def __init__(self, spec: AutoencoderSpec) -> None:
        super().__init__()
        self.patch = spec.patch
        width = spec.channels[-1]
        self.stem = nn.Conv2d(spec.latent_channels, width, 3, padding=1)
        self.middle = _middle(spec)
        self.levels = nn.ModuleList()
        for number, channels in enumerate(reversed(spec.channels)):
            blocks = [_block(spec, width if i == 0 else channels, channels)
                      for i in range(spec.blocks + 1)]  # fmt: skip
            if number < len(spec.channels) - 1:
                blocks.append(Upsample(channels))
            self.levels.append(nn.Sequential(*blocks))
            width = channels
        self.norm = nn.GroupNorm(spec.groups, width, _EPS)
        self.head = nn.Conv2d(width, 3 * spec.patch**2, 3, padding=1)

    def forward(self, latents: Tensor) -> Tensor:
        x = self.middle(self.stem(latents))
        for level in self.levels:
            x = level(x)
        pixels: Tensor = self.head(F.silu(self.norm(x)))
        return F.pixel_shuffle(pixels, self.patch) if self.patch > 1 else pixels


def to_pixels(image: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] -> float [B, 3, H, W] in [-1, 1]."""
    return image.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_image(pixels: Tensor) -> Tensor:
    """Float [B, 3, H, W] in [-1, 1], clipped, -> uint8 [B, H, W, 3]."""
    image = ((pixels.float() + 1) * 127.5).round().clamp(0, 255)
    return image.to(torch.uint8).permute(0, 2, 3, 1)


def _block(spec: AutoencoderSpec, channels: int, out: int) -> nn.Module:
    return ResidualBlock(channels, out, groups=spec.groups, eps=_EPS)


def _middle(spec: AutoencoderSpec) -> nn.Sequential:
    width = spec.channels[-1]
    blocks = [_block(spec, width, width), _block(spec, width, width)]
    if spec.attention:
        blocks.insert(1, MapAttention(width, groups=spec.groups, eps=_EPS))
    return nn.Sequential(*blocks)
