"""A recipe for a classifier: the network, the data, the augmentation, the training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.backbones.pixels import IMAGENET_MEAN, IMAGENET_STD
from models.classification.augment import AugmentSpec
from models.classification.spec import ClassifierSpec, Fit
from models.training.recipe import TrainingSpec


@dataclass(frozen=True)
class NetworkSpec:
    """The classifier but for its labels, which the data knows. See `ClassifierSpec`."""

    backbone: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    input_size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fit: Fit = "crop"
    pretrained: str | None = None

    def with_labels(self, labels: tuple[str, ...]) -> ClassifierSpec:
        return ClassifierSpec(labels=labels, **vars(self))


@dataclass(frozen=True)
class WorldData:
    """Close-ups of the tabletop world, one object each, rendered once and kept on disk."""

    train: int = 20_000
    val: int = 2_000
    test: int = 2_000
    size_px: int = 64
    supersample: int = 2
    seed: int = 0
    root: str | None = None
    workers: int = 1


@dataclass(frozen=True)
class FolderData:
    """An image folder: `root/train/<class>/*.jpg`, with `val` and, if there is one, `test`."""

    root: str


@dataclass(frozen=True)
class DataSpec:
    """One source of labelled images."""

    world: WorldData | None = None
    folder: FolderData | None = None

    def __post_init__(self) -> None:
        if (self.world is None) == (self.folder is None):
            raise ValueError("give exactly one of `world` and `folder`")


@dataclass(frozen=True)
class ClassifierRecipe:
    """Everything that decides what comes out, but for the machine and the time it is given."""

    name: str
    network: NetworkSpec
    data: DataSpec
    training: TrainingSpec
    augment: AugmentSpec = field(default_factory=AugmentSpec)
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), got {self.label_smoothing}")
