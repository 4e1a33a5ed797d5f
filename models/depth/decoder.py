"""The decoder: a U-Net from the coarsest feature map back to pixels, disparities on the way."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.depth.spec import STRIDES, DepthSpec, Padding

# Legend: B batch, D channels, V views, h w cells of a map.


class Convolution(nn.Sequential):
    """3x3, then an ELU unless it is a head's."""

    def __init__(self, inputs: int, outputs: int, padding: Padding, *, elu: bool = True) -> None:
        layer = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=padding)
        super().__init__(layer, *([nn.ELU(inplace=True)] if elu else []))


class Decoder(nn.Module):
    """Godard et al. 2017 with upsampling in place of transposed convolutions.

    At each stride, coarsest first: `reduce`, upsample twice, join the encoder's map, `merge`. The
    heads answer in (0, 1). The names of the lists follow `STRIDES`, finest first.
    """

    def __init__(self, spec: DepthSpec, encoder_channels: tuple[int, ...]) -> None:
        super().__init__()
        self.spec = spec
        kept = range(STRIDES.index(spec.finest_stride), len(STRIDES))
        channels = spec.decoder_channels
        above = (*channels[1:], encoder_channels[-1])
        skips = (0, *encoder_channels[:-1])
        self.reduce = nn.ModuleList(Convolution(above[i], channels[i], spec.padding) for i in kept)
        self.merge = nn.ModuleList(
            Convolution(channels[i] + skips[i], channels[i], spec.padding) for i in kept
        )
        self.heads = nn.ModuleList(
            Convolution(channels[STRIDES.index(stride)], spec.views, spec.padding, elu=False)
            for stride in spec.strides
        )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Maps [B, D, h, w] of strides 2 to 32 -> [B, V, h, w] for each of the spec's strides.

        In evaluation mode only the finest is made.
        """
        first = STRIDES.index(self.spec.finest_stride)
        x = features[-1]
        answers: list[Tensor] = []
        for level in reversed(range(len(self.reduce))):
            stride_index = first + level
            x = self._upsample(self.reduce[level](x))
            if stride_index > 0:
                x = torch.cat([x, features[stride_index - 1]], 1)
            x = self.merge[level](x)
            if level < len(self.heads) and (self.training or level == 0):
                answers.insert(0, torch.sigmoid(self.heads[level](x)))
        return answers

    def _upsample(self, x: Tensor) -> Tensor:
        if self.spec.upsampling == "nearest":
            return F.interpolate(x, scale_factor=2.0, mode="nearest")
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
