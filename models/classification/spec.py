"""What a classifier is: the frozen description that is stored beside its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from models.backbones.pixels import IMAGENET_MEAN, IMAGENET_STD

#: How an image of another shape comes to the input's: `crop` scales the shorter side and cuts the
#: centre, `stretch` ignores the aspect, `letterbox` pads.
Fit = Literal["crop", "stretch", "letterbox"]


@dataclass(frozen=True)
class ClassifierSpec:
    """The architecture and the labels of a classifier.

    `backbone` is a timm name, or `alexnet` or `googlenet`, which torchvision builds; `kwargs` go to
    its constructor. `input_size` is (height, width) in pixels. `mean` and `std` apply to RGB in
    [0, 1]. `pretrained` says where training started from: nothing, a weights file, a checkpoint
    folder, or `timm` for the weights that timm publishes.
    """

    backbone: str
    labels: tuple[str, ...]
    input_size: tuple[int, int] = (224, 224)
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fit: Fit = "crop"
    pretrained: str | None = None

    def __post_init__(self) -> None:
        if len(self.labels) != len(set(self.labels)):
            repeated = sorted({name for name in self.labels if self.labels.count(name) > 1})
            raise ValueError(f"labels must differ from one another; repeated: {repeated}")
        if min(self.input_size) < 1:
            raise ValueError(f"input_size must be positive, got {self.input_size}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std}")
