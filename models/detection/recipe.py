"""A recipe for a detector: the family, the network, the data, the augmentation, the training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.detection.augment import AugmentSpec
from models.detection.families import find_family
from models.detection.spec import DetectorSpec
from models.training.plain import from_plain
from models.training.recipe import TrainingSpec


@dataclass(frozen=True)
class WorldData:
    """Scenes of the tabletop world with up to `objects` solids, rendered once and kept on disk.

    What trains may have fewer samples a pixel than what measures: it is several times cheaper.
    """

    train: int = 10_240
    val: int = 256
    test: int = 1_000
    size_px: int = 256
    objects: int = 8
    train_supersample: int = 1
    supersample: int = 2
    seed: int = 0
    root: str | None = None
    workers: int = 1


@dataclass(frozen=True)
class CocoSplit:
    """An annotation file and the folder that its file names are relative to."""

    images: str
    annotations: str


@dataclass(frozen=True)
class CocoData:
    """COCO's format; without `test`, `val` is measured."""

    train: CocoSplit
    val: CocoSplit
    test: CocoSplit | None = None


@dataclass(frozen=True)
class DataSpec:
    """One source of images with boxes."""

    world: WorldData | None = None
    coco: CocoData | None = None

    def __post_init__(self) -> None:
        if (self.world is None) == (self.coco is None):
            raise ValueError("give exactly one of `world` and `coco`")


@dataclass(frozen=True)
class DetectorRecipe:
    """Everything that decides what comes out, but for the machine and the time it is given.

    `network` is the family's spec but for the labels, which the data knows; `loss` is the family's
    loss spec. Each step trains at one of `sizes` (height, width), or at the input's size if there
    are none. `start_from` is a checkpoint whose weights are taken where they fit.
    """

    name: str
    family: str
    network: Mapping[str, Any]
    data: DataSpec
    training: TrainingSpec
    loss: Mapping[str, Any] = field(default_factory=dict)
    augment: AugmentSpec = field(default_factory=AugmentSpec)
    sizes: tuple[tuple[int, int], ...] = ()
    start_from: str | None = None

    def __post_init__(self) -> None:
        find_family(self.family)
        self.spec(("any",))
        self.loss_spec()

    def spec(self, labels: tuple[str, ...]) -> DetectorSpec:
        plain = {**self.network, "labels": labels}
        return from_plain(find_family(self.family).spec, plain, "network")

    def loss_spec(self) -> Any:
        return from_plain(find_family(self.family).loss_spec, self.loss, "loss")
