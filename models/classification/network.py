"""The classifier: uint8 pixels in, logits out; training and serving see the same numbers."""

import torch
from torch import Tensor, nn

from models.classification.backbones import build_backbone
from models.classification.spec import ClassifierSpec

# Legend: B batch, H W pixels, C classes.


class Classifier(nn.Module):
    """A backbone behind its normalisation.

    The means and deviations are buffers outside the state dict: the spec holds them. Where
    `auxiliary_heads` is set and the backbone has such (GoogLeNet), training mode returns the named
    tuple that torchvision returns; evaluation mode returns logits alone, always.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spec: ClassifierSpec, *, auxiliary_heads: bool = False) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = build_backbone(
            spec.backbone, len(spec.labels), dict(spec.kwargs), auxiliary_heads=auxiliary_heads
        )
        channel = (1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor(spec.mean).view(channel) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(spec.std).view(channel) * 255, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """`image` uint8 RGB [B, H, W, 3], at the spec's input size -> logits float [B, C]."""
        pixels = image.permute(0, 3, 1, 2).to(self.mean.dtype)  # [B, 3, H, W]
        logits: Tensor = self.backbone((pixels - self.mean) / self.std)  # [B, C]
        return logits

    def stages(self) -> list[list[str]]:
        """Parameter names, grouped from the input to the head: what transfer learning freezes."""
        from models.classification.stages import backbone_stages

        return [[f"backbone.{name}" for name in s] for s in backbone_stages(self.backbone)]
