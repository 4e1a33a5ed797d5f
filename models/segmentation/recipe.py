"""A recipe for a segmenter: the network, the data, the augmentation, the training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.detection.augment import AugmentSpec
from models.segmentation.loss import SegmentationLossSpec
from models.segmentation.spec import SegmenterSpec
from models.training.plain import from_plain
from models.training.recipe import TrainingSpec


@dataclass(frozen=True)
class WorldData:
    """Scenes of the tabletop world with up to `objects` solids, rendered once and kept on disk.

    What trains may have fewer samples a pixel than what measures: it is several times cheaper.
    """

    train: int = 6_144
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
class DataSpec:
    """One source of images with segments."""

    world: WorldData | None = None

    def __post_init__(self) -> None:
        if self.world is None:
            raise ValueError("give exactly one of `world` and `coco`")


@dataclass(frozen=True)
class SegmenterRecipe:
    """Everything that decides what comes out, but for the machine and the time it is given.

    `network` is the spec but for the labels, which the data knows. Each step trains at one of
    `sizes` (height, width), or at the input's size if there are none. `start_from` is a checkpoint
    whose weights are taken where they fit, be it a detector's backbone.
    """

    name: str
    network: Mapping[str, Any]
    data: DataSpec
    training: TrainingSpec
    loss: SegmentationLossSpec = field(default_factory=SegmentationLossSpec)
    augment: AugmentSpec = field(default_factory=AugmentSpec)
    sizes: tuple[tuple[int, int], ...] = ()
    start_from: str | None = None

    def __post_init__(self) -> None:
        self.spec(("any",), (True,))

    def spec(self, labels: tuple[str, ...], is_thing: tuple[bool, ...]) -> SegmenterSpec:
        plain = {**self.network, "labels": labels, "is_thing": is_thing}
        return from_plain(SegmenterSpec, plain, "network")
