"""The images that an exported segmenter is proven and measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from torch import Tensor

from exporters.errors import ExportError
from exporters.images import Pixels
from exporters.unseen import draw, recipe_data
from models.data.panoptic import SegmentedImages
from models.detection.windows import fit_windows
from models.segmentation import SegmenterSpec
from models.segmentation.data import open_segmented_images
from models.segmentation.recipe import DataSpec

SCENES: Final = 32
"""So many of the images are looked at for golden ones."""


@dataclass(frozen=True)
class UnseenSegments:
    """Some images of a set that no training has seen."""

    images: SegmentedImages
    indices: Tensor  # int64 [N]
    description: str

    def __len__(self) -> int:
        return len(self.indices)

    def pixels(self, spec: SegmenterSpec, start: int, stop: int) -> Pixels:
        """Some of them as the network sees them: uint8 [B, H, W, 3]."""
        indices = self.indices[start:stop]
        windows = fit_windows(self.images.sizes_px(indices), spec.input_size, spec.fit)
        pixels: Pixels = self.images.read(indices, spec.input_size, windows).numpy()
        return pixels


def read_unseen_segments(
    spec: SegmenterSpec,
    metadata: Mapping[str, Any],
    *,
    count: int,
    seed: int = 0,
    progress: bool = False,
) -> UnseenSegments:
    """At most `count` images of the test split of what trained the segmenter, drawn by `seed`.

    Where that has no test split, of what validated it.
    """
    data = recipe_data(DataSpec, metadata)
    files = data.panoptic or data.instances or data.semantic
    split = "val" if files is not None and files.test is None else "test"
    if data.world is not None:
        # The first scenes of a world are the same however many there are.
        data = DataSpec(world=replace(data.world, test=count))
    try:
        images = open_segmented_images(data, split, names=spec.labels, progress=progress)
    except (ValueError, OSError) as error:
        raise ExportError(f"the checkpoint's test images cannot be read: {error}") from error
    return UnseenSegments(images, *draw(len(images), count, images.description, seed=seed))
