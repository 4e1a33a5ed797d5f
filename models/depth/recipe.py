"""A recipe for a depth network: the network, the data, the loss, the training."""

from dataclasses import dataclass, field

from models.depth.augment import AugmentSpec
from models.depth.losses import MonodepthLossSpec
from models.depth.spec import DepthSpec
from models.training.recipe import TrainingSpec


@dataclass(frozen=True)
class WorldData:
    """Stereo pairs of the tabletop world, rendered once and kept on disk.

    Depth is kept for what measures alone: training never sees it.
    """

    train: int = 4_096
    val: int = 128
    test: int = 1_000
    size_px: int = 256
    objects: int = 6
    supersample: int = 1
    seed: int = 0
    root: str | None = None
    workers: int = 1


@dataclass(frozen=True)
class FolderData:
    """Stereo folders: see `models.data.stereo_folder.StereoFolder`."""

    root: str


@dataclass(frozen=True)
class DataSpec:
    """One source of stereo pairs."""

    world: WorldData | None = None
    folder: FolderData | None = None

    def __post_init__(self) -> None:
        if (self.world is None) == (self.folder is None):
            raise ValueError("give exactly one of `world` and `folder`")


@dataclass(frozen=True)
class DepthRecipe:
    """Everything that decides what comes out, but for the machine and the time it is given.

    Where the network's spec does not say the camera, the data does. Training sees images of
    `train_size` (height, width), or of the input's size. `start_from` is a checkpoint of the same
    network.
    """

    name: str
    network: DepthSpec
    data: DataSpec
    training: TrainingSpec
    loss: MonodepthLossSpec = field(default_factory=MonodepthLossSpec)
    augment: AugmentSpec = field(default_factory=AugmentSpec)
    train_size: tuple[int, int] | None = None
    start_from: str | None = None

    def __post_init__(self) -> None:
        if self.network.views != 2:
            raise ValueError("training from stereo needs a network of 2 views")
        if any(side < 32 or side % 32 for side in self.train_size or ()):
            raise ValueError(f"the sides must divide by 32, got {self.train_size}")
