"""The images with texts that a recipe asks for, and names to judge zero-shot answers by."""

from pathlib import Path
from typing import Any

from models.clip.recipe import DataSpec, WorldData
from models.data.captioned import CaptionedImages, JoinedCaptions
from models.data.labelled import LabelledImages


def open_training(spec: DataSpec, *, progress: bool = False) -> CaptionedImages:
    """What training draws from."""
    if spec.pairs is not None:
        from models.data.captioned_folder import open_captioned

        return open_captioned(Path(spec.pairs.root).expanduser(), "train")
    assert spec.world is not None
    from models.data.captioned_world import NamedImages, close_ups

    scenes = open_captions(spec, "train", progress=progress)
    named = spec.world.close_ups
    if named is None:
        return scenes
    images = close_ups(
        split="train", count=named.train, size_px=named.size_px, **_kept(spec.world, progress)
    )
    return JoinedCaptions([scenes, NamedImages(images, named.templates)])


def open_captions(spec: DataSpec, split: str, *, progress: bool = False) -> CaptionedImages:
    """One split of what retrieval is measured on: `train`, `val` or `test`."""
    if spec.pairs is not None:
        from models.data.captioned_folder import open_captioned

        return open_captioned(Path(spec.pairs.root).expanduser(), split)
    assert spec.world is not None
    from models.data.captioned_world import caption_scenes_of

    scenes = spec.world.scenes
    return caption_scenes_of(
        split=split,
        count={"train": scenes.train, "val": scenes.val, "test": scenes.test}[split],
        objects=scenes.objects,
        size_px=scenes.size_px,
        **_kept(spec.world, progress),
    )


def open_names(spec: DataSpec, split: str, *, progress: bool = False) -> LabelledImages | None:
    """Labelled images, which zero-shot classification is measured on, if the data has any."""
    if spec.world is None or spec.world.close_ups is None:
        return None
    from models.data.captioned_world import close_ups

    named = spec.world.close_ups
    return close_ups(
        split=split,
        count={"train": named.train, "val": named.val, "test": named.test}[split],
        size_px=named.size_px,
        **_kept(spec.world, progress),
    )


def _kept(world: WorldData, progress: bool) -> dict[str, Any]:
    """Where rendered scenes are kept and how they are made."""
    return {
        "seed": world.seed,
        "root": Path(world.root).expanduser() if world.root else None,
        "workers": world.workers,
        "progress": progress,
    }
