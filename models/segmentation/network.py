"""Mask2Former: uint8 pixels in, a class and a mask for each query out."""

from torch import Tensor, nn

from models.backbones import Backbone, Normalisation
from models.segmentation.decoder import Answer, MaskedDecoder
from models.segmentation.pixel_decoder import PixelDecoder
from models.segmentation.spec import LEVEL_STRIDES, MASK_STRIDE, SegmenterSpec

# Legend: B batch, H W pixels of the input.


class Segmenter(nn.Module):
    """Cheng et al. 2022, behind its normalisation."""

    def __init__(self, spec: SegmenterSpec) -> None:
        super().__init__()
        self.spec = spec
        self.normalise = Normalisation(spec.mean, spec.std)
        self.backbone = Backbone(spec.backbone, (MASK_STRIDE, *LEVEL_STRIDES))
        if spec.normed_maps:
            self.map_norms = nn.ModuleList(nn.LayerNorm(c) for c in self.backbone.channels)
        self.pixel_decoder = PixelDecoder(spec, self.backbone.channels)
        self.decoder = MaskedDecoder(spec)

    def forward(self, image: Tensor) -> list[Answer]:
        """`image` uint8 RGB [B, H, W, 3], sides that divide by 32.

        In training mode what the queries say before the first layer and after each, in evaluation
        mode what they say in the end.
        """
        features = self.backbone(self.normalise(image))
        if self.spec.normed_maps:
            features = [
                norm(x.movedim(1, 3)).movedim(3, 1)
                for norm, x in zip(self.map_norms, features, strict=True)
            ]
        mask_features, levels = self.pixel_decoder(features)
        answers: list[Answer] = self.decoder(levels, mask_features)
        return answers
