"""A recipe for a segmenter: the network, the data, the augmentation, the training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.detection.augment import AugmentSpec
from models.detection.recipe import CocoData, WorldData
from models.segmentation.loss import SegmentationLossSpec
from models.segmentation.spec import SegmenterSpec
from models.training.plain import from_plain
from models.training.recipe import TrainingSpec


@dataclass(frozen=True)
class PanopticSplit:
    """COCO's panoptic format: `images` and `segments` are the folders that file names in
    `annotations` are relative to."""

    images: str
    annotations: str
    segments: str


@dataclass(frozen=True)
class PanopticData:
    """Without `test`, `val` is measured."""

    train: PanopticSplit
    val: PanopticSplit
    test: PanopticSplit | None = None


@dataclass(frozen=True)
class LabelSplit:
    """A folder of images, and one of PNGs of the same names whose values are labels."""

    images: str
    labels: str


@dataclass(frozen=True)
class LabelData:
    """Semantic maps; `names` number the labels. Without `test`, `val` is measured."""

    names: tuple[str, ...]
    train: LabelSplit
    val: LabelSplit
    test: LabelSplit | None = None


@dataclass(frozen=True)
class DataSpec:
    """One source of images with segments: the world, or files in one of three formats."""

    world: WorldData | None = None
    panoptic: PanopticData | None = None
    instances: CocoData | None = None
    semantic: LabelData | None = None

    def __post_init__(self) -> None:
        sources = (self.world, self.panoptic, self.instances, self.semantic)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("give exactly one of `world`, `panoptic`, `instances`, `semantic`")


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
