"""The stereo pairs that a recipe asks for, and the batches that training draws from them."""

from pathlib import Path

from torch import Generator, Tensor

from models.data.stereo import ArrayPairs, StereoPairs
from models.data.stereo_folder import StereoFolder
from models.depth.augment import AugmentSpec, augment_pairs
from models.depth.recipe import DataSpec, WorldData
from models.training.batches import ShuffledBatches

_SHARD_SCENES = 512


def open_pairs(spec: DataSpec, split: str, *, progress: bool = False) -> StereoPairs:
    """One split: `train`, `val` or `test`."""
    if spec.world is not None:
        return _open_world(spec.world, split, progress)
    assert spec.folder is not None
    return StereoFolder(Path(spec.folder.root).expanduser(), split)


def _open_world(spec: WorldData, split: str, progress: bool) -> ArrayPairs:
    from models.data.world import SceneSpec, WorldSpec, open_world

    count = {"train": spec.train, "val": spec.val, "test": spec.test}[split]
    measured = split != "train"
    world = open_world(
        WorldSpec(
            SceneSpec(max_objects=spec.objects),
            count,
            size_px=spec.size_px,
            split=split,
            seed=spec.seed,
            supersample=spec.supersample,
            truths=("right", "depth", "camera") if measured else ("right", "camera"),
            shard_scenes=_SHARD_SCENES,
        ),
        Path(spec.root).expanduser() if spec.root else None,
        workers=spec.workers,
        progress=progress,
    )
    return ArrayPairs(
        world.array("image"),
        world.array("right"),
        world.array("camera")[:],
        world.array("depth") if measured else None,
        f"tabletop world, {split} split of seed {spec.seed}, {count} stereo pairs of 1 to "
        f"{spec.objects} objects at {spec.size_px} px",
    )


class StereoBatches(ShuffledBatches[StereoPairs]):
    """Shuffled and augmented batches, addressed by step."""

    def __init__(
        self,
        pairs: StereoPairs,
        *,
        size: tuple[int, int],
        batch_size: int,
        augment: AugmentSpec,
        seed: int,
    ) -> None:
        super().__init__(pairs, batch_size=batch_size, seed=seed)
        self._size = size
        self._augment = augment

    def make(self, step: int, indices: Tensor, generator: Generator) -> dict[str, Tensor]:
        """`left` and `right` uint8 [B, H, W, 3]"""
        left, right = self.samples.read(indices, self._size)
        left, right = augment_pairs(self._augment, left, right, generator)
        return {"left": left, "right": right}
