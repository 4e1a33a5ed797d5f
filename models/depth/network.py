"""The depth network: uint8 pixels in, disparity out; training and serving see the same numbers."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.features import Backbone
from models.backbones.pixels import Normalisation
from models.depth.decoder import Decoder
from models.depth.spec import DepthSpec

# Legend: B batch, H W pixels of the input, V views (left, right), h w pixels at a scale.

ENCODER_STRIDES = (2, 4, 8, 16, 32)


class DepthNetwork(nn.Module):
    """Encoder and decoder behind their normalisation."""

    def __init__(self, spec: DepthSpec) -> None:
        super().__init__()
        self.spec = spec
        self.normalise = Normalisation(spec.mean, spec.std)
        self.encoder = Backbone(spec.backbone, ENCODER_STRIDES)
        self.decoder = Decoder(spec, self.encoder.channels)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """`image` uint8 RGB [B, H, W, 3], the left view; its sides divide by 32.

        In evaluation mode the left disparity float [B, H, W], as a fraction of the width. In
        training mode the disparities [B, V, h, w] at every scale, finest first.
        """
        features = self.encoder(self.normalise(image))
        low, high = self.spec.min_disparity, self.spec.max_disparity
        disparities = [low + (high - low) * answer for answer in self.decoder(features)]
        if self.training:
            return disparities
        left: Tensor = disparities[0][:, :1]  # [B, 1, h, w]
        if self.spec.finest_stride > 1:
            scale = float(self.spec.finest_stride)
            left = F.interpolate(left, scale_factor=scale, mode="bilinear", align_corners=False)
        return left[:, 0]
