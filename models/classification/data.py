"""The images that a classifier's recipe asks for, and the batches that training draws from them."""

from pathlib import Path

import torch
from torch import Generator, Tensor

from models.classification.augment import AugmentSpec, augment_pixels, draw_windows
from models.classification.recipe import DataSpec, WorldData
from models.data.folder import FolderImages
from models.data.labelled import ArrayImages, LabelledImages
from models.training.batches import ShuffledBatches


def open_images(
    spec: DataSpec,
    split: str,
    *,
    names: tuple[str, ...] | None = None,
    progress: bool = False,
) -> LabelledImages:
    """One split: `train`, `val` or `test`. `names` number the classes of a folder."""
    if spec.world is not None:
        return _open_world(spec.world, split, progress)
    assert spec.folder is not None
    return FolderImages(Path(spec.folder.root).expanduser(), split, names)


def _open_world(spec: WorldData, split: str, progress: bool) -> ArrayImages:
    from models.data.world import CLOSE_UP, OBJECT_NAMES, WorldSpec, open_world

    count = {"train": spec.train, "val": spec.val, "test": spec.test}[split]
    world = open_world(
        WorldSpec(
            CLOSE_UP,
            count,
            size_px=spec.size_px,
            split=split,
            seed=spec.seed,
            supersample=spec.supersample,
        ),
        Path(spec.root).expanduser() if spec.root else None,
        workers=spec.workers,
        progress=progress,
    )
    description = (
        f"tabletop world, {split} split of seed {spec.seed}, {count} close-ups of {spec.size_px} px"
    )
    labels = torch.as_tensor(world.array("label")[:])
    return ArrayImages(world.array("image"), labels, OBJECT_NAMES, description)


class ClassificationBatches(ShuffledBatches[LabelledImages]):
    """Shuffled and augmented batches, addressed by step."""

    def __init__(
        self,
        images: LabelledImages,
        *,
        size: tuple[int, int],
        batch_size: int,
        augment: AugmentSpec,
        seed: int,
    ) -> None:
        super().__init__(images, batch_size=batch_size, seed=seed)
        self._size = size
        self._augment = augment

    def make(self, step: int, indices: Tensor, generator: Generator) -> dict[str, Tensor]:
        """`image` uint8 [B, H, W, 3] and `label` int64 [B]"""
        windows = draw_windows(self._augment, len(indices), generator)
        images = self.samples.read(indices, self._size, windows)
        return {
            "image": augment_pixels(self._augment, images, generator),
            "label": self.samples.labels[indices],
        }
