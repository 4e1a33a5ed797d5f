"""What a detector is: the frozen description that is stored beside its weights."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from models.backbones.pixels import IMAGENET_MEAN, IMAGENET_STD
from models.backbones.spec import BackboneSpec

#: How an image of another shape comes to the input's: `letterbox` keeps the aspect and pads both
#: sides evenly with grey, `stretch` ignores the aspect.
Fit = Literal["letterbox", "stretch"]


@dataclass(frozen=True, kw_only=True)
class DetectorSpec:
    """What every family's spec says; each family adds its own fields and the two constants.

    `input_size` is (height, width) in pixels. `mean` and `std` apply to RGB in [0, 1]. `nms_iou` is
    read only where the family needs non-maximum suppression.
    """

    #: The family's name in recipes and checkpoints.
    family: ClassVar[str]
    #: Whether candidates overlap, so that non-maximum suppression must thin them.
    needs_nms: ClassVar[bool]

    labels: tuple[str, ...]
    backbone: BackboneSpec
    input_size: tuple[int, int] = (256, 256)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fit: Fit = "letterbox"
    max_detections: int = 100
    nms_iou: float = 0.5

    def __post_init__(self) -> None:
        if not self.labels or len(self.labels) != len(set(self.labels)):
            raise ValueError(f"labels must be there and differ from one another: {self.labels}")
        if min(self.input_size) < 1 or self.max_detections < 1:
            raise ValueError(f"sizes must be positive: {self.input_size}, {self.max_detections}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std}")
        if not 0 < self.nms_iou <= 1:
            raise ValueError(f"nms_iou must be in (0, 1], got {self.nms_iou}")
