"""The tabletop world with texts: scenes with their captions, close-ups with their names."""

from collections.abc import Sequence
from pathlib import Path

import torch

from models.data.captioned import ArrayCaptions
from models.data.labelled import ArrayImages
from models.data.world import CLOSE_UP, OBJECT_NAMES, SceneSpec, WorldSpec, open_world


def caption_scenes_of(
    *,
    split: str,
    count: int,
    objects: int,
    size_px: int,
    seed: int = 0,
    root: Path | None = None,
    workers: int = 1,
    progress: bool = False,
) -> ArrayCaptions:
    """Scenes of 1 to `objects` objects, each with the caption that the world gives it."""
    world = open_world(
        WorldSpec(
            SceneSpec(max_objects=objects),
            count,
            size_px=size_px,
            split=split,
            seed=seed,
            supersample=2,
            truths=("boxes", "captions"),
        ),
        root,
        workers=workers,
        progress=progress,
    )
    captions = world.column("captions")
    return ArrayCaptions(
        world.array("image"),
        [str(caption) for caption in captions],
        f"tabletop world, {split} split of seed {seed}, {count} captions of scenes with 1 to "
        f"{objects} objects at {size_px} px",
    )


def close_ups(
    *,
    split: str,
    count: int,
    size_px: int,
    seed: int = 0,
    root: Path | None = None,
    workers: int = 1,
    progress: bool = False,
) -> ArrayImages:
    """Close-ups of single objects, labelled by OBJECT_NAMES."""
    world = open_world(
        WorldSpec(CLOSE_UP, count, size_px=size_px, split=split, seed=seed, supersample=2),
        root,
        workers=workers,
        progress=progress,
    )
    return ArrayImages(
        world.array("image"),
        torch.as_tensor(world.array("label")[:]),
        OBJECT_NAMES,
        f"tabletop world, {split} split of seed {seed}, {count} close-ups of {size_px} px",
    )


class NamedImages:
    """Labelled images as images with texts: the first is the bare name with its article."""

    def __init__(self, images: ArrayImages, templates: Sequence[str]) -> None:
        self.description = f"{images.description}, named in {len(templates)} ways"
        self.read = images.read
        self._labels: list[int] = images.labels.tolist()
        self._texts: list[tuple[str, ...]] = [
            (with_article(name), *(template.format(name) for template in templates))
            for name in images.names
        ]

    def __len__(self) -> int:
        return len(self._labels)

    def texts(self, index: int) -> tuple[str, ...]:
        return self._texts[self._labels[index]]


def with_article(name: str) -> str:
    """ "a red ball", "an orange ball" """
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
