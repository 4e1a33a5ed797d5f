"""The images that an exported classifier is calibrated and measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from exporters.errors import ExportError
from exporters.images import LabelledPixels
from exporters.unseen import draw, recipe_data
from models.classification import ClassifierSpec
from models.classification.data import open_images
from models.classification.recipe import DataSpec, FolderData

RECIPE: Final = "recipe"
WORLD_CALIBRATION_IMAGES: Final = 1024


def read_labelled(
    source: str,
    spec: ClassifierSpec,
    metadata: Mapping[str, Any],
    *,
    use: Literal["calibrate", "evaluate"],
    count: int,
    seed: int = 0,
    progress: bool = False,
) -> LabelledPixels:
    """At most `count` images, drawn by `seed`; to calibrate from training data, to evaluate not.

    `source` is "recipe", the data that the classifier was trained by, or an image folder that
    holds `train/<label>/` and `test/<label>/` or `val/<label>/`.
    """
    data = _data_of(source, metadata)
    if use == "calibrate" and data.world is not None:
        # The first scenes of a world are the same however many there are.
        few = min(WORLD_CALIBRATION_IMAGES, data.world.train)
        data = DataSpec(world=replace(data.world, train=few))
    try:
        images = open_images(data, _split_of(data, use), names=spec.labels, progress=progress)
    except ValueError as error:
        raise ExportError(f"no images to {use} on: {error}") from error
    if tuple(images.names) != spec.labels:
        raise ExportError(f"{images.description} has other labels than the classifier")
    indices, drawn = draw(len(images), count, images.description, seed=seed)
    return LabelledPixels(
        images.read(indices, spec.input_size).numpy(), images.labels[indices].numpy(), drawn
    )


def _data_of(source: str, metadata: Mapping[str, Any]) -> DataSpec:
    if source != RECIPE:
        return DataSpec(folder=FolderData(source))
    try:
        return recipe_data(DataSpec, metadata)
    except ExportError as error:
        raise ExportError(f"{error}; name an image folder") from error


def _split_of(data: DataSpec, use: Literal["calibrate", "evaluate"]) -> str:
    if use == "calibrate":
        return "train"
    if data.folder is not None and not (Path(data.folder.root).expanduser() / "test").is_dir():
        return "val"
    return "test"
