"""What a depth network is: the frozen description that is stored beside its weights."""

from dataclasses import dataclass
from typing import Literal

from models.backbones.pixels import IMAGENET_MEAN, IMAGENET_STD
from models.backbones.spec import BackboneSpec
from models.classification.spec import Fit

#: What a convolution of the decoder sees beyond the border.
Padding = Literal["zeros", "reflect"]

#: The strides at which a decoder can say something, finest first.
STRIDES = (1, 2, 4, 8, 16)


@dataclass(frozen=True, kw_only=True)
class DepthSpec:
    """An encoder, a decoder, and what its numbers mean.

    `decoder_channels` belong to the strides 1, 2, 4, 8, 16. Disparities are said at `scales`
    strides from `finest_stride` on, as fractions of the width between `min_disparity` and
    `max_disparity`; for the left view, and where there are two `views` for the right one too, which
    only training reads. `focal_px`, in pixels of the input, and `baseline_m` turn disparity into
    metres; a network that does not know both gives depth up to a factor.
    """

    backbone: BackboneSpec
    input_size: tuple[int, int] = (256, 256)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fit: Fit = "stretch"
    decoder_channels: tuple[int, int, int, int, int] = (16, 32, 64, 128, 256)
    upsampling: Literal["bilinear", "nearest"] = "bilinear"
    padding: Padding = "reflect"
    views: Literal[1, 2] = 2
    scales: int = 4
    finest_stride: Literal[1, 2] = 1
    min_disparity: float = 0.0
    max_disparity: float = 0.3
    focal_px: float | None = None
    baseline_m: float | None = None

    def __post_init__(self) -> None:
        if any(side < 32 or side % 32 for side in self.input_size):
            raise ValueError(f"the sides must divide by 32, got {self.input_size}")
        if self.padding == "reflect" and min(self.input_size) < 64:
            raise ValueError(f"a single row cannot be reflected: {self.input_size} is too small")
        if min(self.std) <= 0 or min(self.decoder_channels) < 1:
            raise ValueError(f"std and decoder_channels must be positive, got {self}")
        if not 1 <= self.scales <= len(STRIDES) - STRIDES.index(self.finest_stride):
            raise ValueError(f"no {self.scales} scales from stride {self.finest_stride} on")
        if not 0 <= self.min_disparity < self.max_disparity:
            raise ValueError(
                f"need 0 <= min_disparity < max_disparity, got {self.min_disparity} and "
                f"{self.max_disparity}"
            )
        for name in ("focal_px", "baseline_m"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ValueError(f"{name} must be positive, got {value}")

    @property
    def strides(self) -> tuple[int, ...]:
        """The strides of the disparities, finest first."""
        first = STRIDES.index(self.finest_stride)
        return STRIDES[first : first + self.scales]

    @property
    def metres(self) -> float | None:
        """Depth is this divided by disparity: focal length, in widths, times baseline."""
        if self.focal_px is None or self.baseline_m is None:
            return None
        return self.focal_px / self.input_size[1] * self.baseline_m
