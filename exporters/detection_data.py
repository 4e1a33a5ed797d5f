"""The images that an exported detector is proven and measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from torch import Tensor

from exporters.errors import ExportError
from exporters.images import Pixels
from exporters.unseen import draw, recipe_data
from models.data.boxed import BoxedImages
from models.detection import DetectorSpec
from models.detection.data import open_boxed_images
from models.detection.recipe import DataSpec
from models.detection.windows import fit_windows

SCENES: Final = 48
"""So many of the images are looked at for golden ones."""


@dataclass(frozen=True)
class UnseenImages:
    """Some images of a set that no training has seen."""

    images: BoxedImages
    indices: Tensor  # int64 [N]
    description: str

    def __len__(self) -> int:
        return len(self.indices)

    def pixels(self, spec: DetectorSpec, start: int, stop: int) -> Pixels:
        """Some of them as the network sees them: uint8 [B, H, W, 3]."""
        indices = self.indices[start:stop]
        windows = fit_windows(self.images.sizes_px(indices), spec.input_size, spec.fit)
        pixels: Pixels = self.images.read(indices, spec.input_size, windows).numpy()
        return pixels


def read_unseen(
    spec: DetectorSpec,
    metadata: Mapping[str, Any],
    *,
    count: int,
    seed: int = 0,
    progress: bool = False,
) -> UnseenImages:
    """At most `count` images of the test split of what trained the detector, drawn by `seed`.

    Where that is COCO's format and has no test split, of what validated it.
    """
    data = recipe_data(DataSpec, metadata)
    split = "val" if data.coco is not None and data.coco.test is None else "test"
    if data.world is not None:
        # The first scenes of a world are the same however many there are.
        data = DataSpec(world=replace(data.world, test=count))
    try:
        images = open_boxed_images(data, split, names=spec.labels, progress=progress)
    except (ValueError, OSError) as error:
        raise ExportError(f"the checkpoint's test images cannot be read: {error}") from error
    return UnseenImages(images, *draw(len(images), count, images.description, seed=seed))
