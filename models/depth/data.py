"""The stereo pairs that a recipe asks for, and the batches that training draws from them."""

from pathlib import Path

import torch
from torch import Tensor

from models.data.stereo import ArrayPairs, StereoPairs
from models.data.stereo_folder import StereoFolder
from models.depth.augment import AugmentSpec, augment_pairs
from models.depth.recipe import DataSpec, WorldData
from models.training.sampling import ShuffledEpochs, mix_seed
from models.training.task import Share

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


class StereoBatches:
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
        self._pairs = pairs
        self._size = size
        self._batch_size = batch_size
        self._augment = augment
        self._seed = seed
        self._epochs = ShuffledEpochs(len(pairs), seed)

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def description(self) -> str:
        return self._pairs.description

    def batch(self, step: int, share: Share) -> dict[str, Tensor]:
        """`left` and `right` uint8 [B, H, W, 3]"""
        indices = self._epochs.take(step * self._batch_size, self._batch_size)
        indices = indices[share.of(self._batch_size)]
        left, right = self._pairs.read(indices, self._size)
        # 1 keeps these seeds apart from the epochs' (seed, epoch).
        generator = torch.Generator().manual_seed(mix_seed(self._seed, step, share.index, 1))
        left, right = augment_pairs(self._augment, left, right, generator)
        return {"left": left, "right": right}
