"""What a segmenter is: the frozen description that is stored beside its weights."""

from dataclasses import dataclass

from models.backbones import IMAGENET_MEAN, IMAGENET_STD, BackboneSpec
from models.detection.spec import Fit

#: The strides of the maps that queries look at, finest first, and that of the masks.
LEVEL_STRIDES = (8, 16, 32)
MASK_STRIDE = 4


@dataclass(frozen=True, kw_only=True)
class SegmenterSpec:
    """A Mask2Former: a backbone, a pixel decoder, and queries that answer a class and a mask each.

    `is_thing` says of each label whether its objects are told apart; those of stuff are one
    segment an image. `width` is that of all tokens, `mask_width` that of the products that make a
    mask. `normed_maps` puts a LayerNorm behind each map of the backbone. The figures are the
    paper's for ResNet and Swin.
    """

    labels: tuple[str, ...]
    is_thing: tuple[bool, ...]
    backbone: BackboneSpec
    input_size: tuple[int, int] = (512, 512)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fit: Fit = "letterbox"
    normed_maps: bool = False
    width: int = 256
    mask_width: int = 256
    heads: int = 8
    points: int = 4
    norm_groups: int = 32
    encoder_layers: int = 6
    encoder_feedforward: int = 1024
    decoder_layers: int = 9
    decoder_feedforward: int = 2048
    queries: int = 100

    def __post_init__(self) -> None:
        if not self.labels or len(self.labels) != len(set(self.labels)):
            raise ValueError(f"labels must be there and differ from one another: {self.labels}")
        if len(self.is_thing) != len(self.labels):
            raise ValueError(f"{len(self.labels)} labels, but {len(self.is_thing)} in is_thing")
        if any(side < 32 or side % 32 for side in self.input_size):
            raise ValueError(f"the sides must divide by 32, got {self.input_size}")
        if self.width % self.heads or self.width % 4 or self.width % self.norm_groups:
            raise ValueError(
                f"width {self.width} must divide by 4, by heads {self.heads} and by norm_groups "
                f"{self.norm_groups}"
            )
        if not 1 <= self.queries <= 254:
            raise ValueError(f"queries must be 1 to 254, got {self.queries}")
        if min(self.std) <= 0 or min(self.points, self.encoder_layers, self.decoder_layers) < 1:
            raise ValueError(f"std, points and layers must be positive: {self}")

    @property
    def nothing(self) -> int:
        """The index of the last class, ∅ in the paper: the query shows no segment."""
        return len(self.labels)
