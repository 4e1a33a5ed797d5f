"""Captioned pictures: of the tabletop world, or of a folder."""

from pathlib import Path
from typing import Protocol

import torch
from torch import Generator, Tensor

from models.data.captioned_folder import open_captioned
from models.diffusion.autoencoder_recipe import FolderPictures, PictureData, WorldPictures
from models.training.batches import ShuffledBatches

# Legend: N pictures, B batch, S side of a picture in pixels, K boxes.


class CaptionedPictures(Protocol):
    """Square pictures of one size, each with a caption."""

    @property
    def description(self) -> str: ...

    @property
    def size_px(self) -> int: ...

    @property
    def captions(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def read(self, indices: Tensor) -> Tensor:
        """uint8 [B, S, S, 3]"""
        ...

    def covered(self, cells: int) -> Tensor | None:
        """Which of cells x cells parts of each picture show a thing, bool [N, cells, cells].

        None where nobody knows.
        """
        ...


def open_pictures(data: PictureData, split: str, *, progress: bool = False) -> CaptionedPictures:
    """One split: `train`, `val` or `test`."""
    if data.world is not None:
        return WorldCaptions(data.world, split, progress=progress)
    assert data.folder is not None
    return CaptionedFolder(data.folder, split)


class WorldCaptions:
    """Scenes of the tabletop world."""

    def __init__(self, spec: WorldPictures, split: str, *, progress: bool = False) -> None:
        from models.data.world import SceneSpec, WorldSpec, open_world

        count = {"train": spec.train, "val": spec.val, "test": spec.test}[split]
        world = open_world(
            WorldSpec(
                SceneSpec(max_objects=spec.objects, still_life=spec.still_life),
                count,
                size_px=spec.size_px,
                split=split,
                seed=spec.seed,
                supersample=spec.supersample,
                truths=("boxes", "captions"),
            ),
            Path(spec.root).expanduser() if spec.root else None,
            workers=spec.workers,
            progress=progress,
        )
        self.world = world
        self.size_px = spec.size_px
        self.captions = [str(caption) for caption in world.column("captions")]
        self.description = (
            f"tabletop world, {split} split of seed {spec.seed}, {count} captioned "
            f"{'still lifes' if spec.still_life else 'scenes'} of 1 to {spec.objects} objects at "
            f"{spec.size_px} px"
        )
        self._images = world.array("image")

    def __len__(self) -> int:
        return len(self.world)

    def read(self, indices: Tensor) -> Tensor:
        return torch.from_numpy(self._images[indices.numpy()])

    def covered(self, cells: int) -> Tensor:
        """The cells that a box reaches into."""
        boxes = torch.from_numpy(self.world.array("boxes")[:]) * (cells / self.size_px)
        real = torch.from_numpy(self.world.array("box_shape")[:]) >= 0  # [N, K]
        starts = torch.arange(cells)
        (left, top), (right, bottom) = boxes[..., :2].unbind(2), boxes[..., 2:].unbind(2)
        across = (left[..., None] < starts + 1) & (right[..., None] > starts)  # [N, K, cells]
        down = (top[..., None] < starts + 1) & (bottom[..., None] > starts)
        reached = down[..., :, None] & across[..., None, :] & real[..., None, None]
        return reached.any(1)  # [N, cells, cells]


class CaptionedFolder:
    """`<root>/<split>` with any of the layouts that `open_captioned` reads.

    A picture is scaled until its shorter side has `size_px` and cut to the square in its middle. Of
    several texts the first is its caption.
    """

    def __init__(self, spec: FolderPictures, split: str) -> None:
        self._images = open_captioned(Path(spec.root).expanduser(), split)
        self.size_px = spec.size_px
        self.captions = [self._images.texts(index)[0] for index in range(len(self._images))]
        self.description = self._images.description

    def __len__(self) -> int:
        return len(self._images)

    def read(self, indices: Tensor) -> Tensor:
        return self._images.read(indices, (self.size_px, self.size_px))

    def covered(self, cells: int) -> None:
        return None


class PictureCrops(ShuffledBatches[CaptionedPictures]):
    """Shuffled batches of pictures or of random crops of them, addressed by step."""

    def __init__(
        self, pictures: CaptionedPictures, *, crop_px: int | None, batch_size: int, seed: int
    ) -> None:
        super().__init__(pictures, batch_size=batch_size, seed=seed)
        self._crop_px = crop_px or pictures.size_px
        if self._crop_px > pictures.size_px:
            raise ValueError(f"cannot cut {crop_px} px out of pictures of {pictures.size_px} px")

    def make(self, step: int, indices: Tensor, generator: Generator) -> Tensor:
        """uint8 [B, S, S, 3], half of them mirrored."""
        pictures = self.samples.read(indices)
        side, count = self._crop_px, len(pictures)
        room = self.samples.size_px - side + 1
        places = torch.randint(room, (count, 2), generator=generator).tolist()
        mirrored = torch.rand(count, generator=generator) < 0.5  # [B]
        crops = torch.stack(
            [
                picture[y : y + side, x : x + side]
                for picture, (y, x) in zip(pictures, places, strict=True)
            ]
        )
        return torch.where(mirrored[:, None, None, None], crops.flip(2), crops)
