"""The classifier: uint8 pixels in, logits out; training and serving see the same numbers."""

from torch import Tensor, nn

from models.backbones.pixels import Normalisation
from models.classification.backbones import build_backbone
from models.classification.spec import ClassifierSpec

# Legend: B batch, H W pixels, C classes.


class Classifier(nn.Module):
    """A backbone behind its normalisation.

    Where `auxiliary_heads` is set and the backbone has such (GoogLeNet), training mode returns the
    named tuple that torchvision returns; evaluation mode returns logits alone, always.
    """

    def __init__(self, spec: ClassifierSpec, *, auxiliary_heads: bool = False) -> None:
        super().__init__()
        self.spec = spec
        self.normalise = Normalisation(spec.mean, spec.std)
        self.backbone = build_backbone(
            spec.backbone, len(spec.labels), dict(spec.kwargs), auxiliary_heads=auxiliary_heads
        )

    def forward(self, image: Tensor) -> Tensor:
        """`image` uint8 RGB [B, H, W, 3], at the spec's input size -> logits float [B, C]."""
        logits: Tensor = self.backbone(self.normalise(image))  # [B, C]
        return logits

    def stages(self) -> list[list[str]]:
        """Parameter names, grouped from the input to the head: what transfer learning freezes."""
        from models.classification.stages import backbone_stages

        return [[f"backbone.{name}" for name in s] for s in backbone_stages(self.backbone)]
