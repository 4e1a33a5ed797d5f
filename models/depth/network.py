"""The depth network: uint8 pixels in, disparity out; training and serving see the same numbers."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.depth.decoder import Decoder
from models.depth.spec import DepthSpec
from models.detection.backbone import Backbone

# Legend: B batch, H W pixels of the input, V views (left, right), h w pixels at a scale.

ENCODER_STRIDES = (2, 4, 8, 16, 32)


class DepthNetwork(nn.Module):
    """Encoder and decoder behind their normalisation.

    The means and deviations are buffers outside the state dict: the spec holds them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: DepthSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = Backbone(spec.backbone, ENCODER_STRIDES)
        self.decoder = Decoder(spec, self.encoder.channels)
        channel = (1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor(spec.mean).view(channel) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(channel) * 255, persistent=False)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """`image` uint8 RGB [B, H, W, 3], the left view; its sides divide by 32.

        In evaluation mode the left disparity float [B, H, W], as a fraction of the width. In
        training mode the disparities [B, V, h, w] at every scale, finest first.
        """
        pixels = image.permute(0, 3, 1, 2).to(self.mean.dtype)  # [B, 3, H, W]
        features = self.encoder((pixels - self.mean) / self.std)
        low, high = self.spec.min_disparity, self.spec.max_disparity
        disparities = [low + (high - low) * answer for answer in self.decoder(features)]
        if self.training:
            return disparities
        left: Tensor = disparities[0][:, :1]  # [B, 1, h, w]
        if self.spec.finest_stride > 1:
            scale = float(self.spec.finest_stride)
            left = F.interpolate(left, scale_factor=scale, mode="bilinear", align_corners=False)
        return left[:, 0]
