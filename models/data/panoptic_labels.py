"""Semantic maps: a folder of images, and one of PNGs whose values are labels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from models.data.folder import SUFFIXES
from models.data.panoptic import VOID, SegmentTruth
from models.data.panoptic_files import FileSegments

#: The value of pixels that nobody has labelled.
UNLABELLED = 255


class LabelMaps(FileSegments):
    """Every image with a PNG of its name in `maps`, as COCO-Stuff and Cityscapes have them.

    All labels are stuff: one segment for each that an image shows.
    """

    def __init__(self, images: Path, maps: Path, names: Sequence[str]) -> None:
        found = {
            path.stem: path for path in sorted(images.rglob("*")) if path.suffix.lower() in SUFFIXES
        }
        pairs = [(found[m.stem], m) for m in sorted(maps.rglob("*.png")) if m.stem in found]
        if not pairs:
            raise ValueError(f"no image in {images} has a map of its name in {maps}")
        super().__init__(
            [image for image, _ in pairs],
            [_size_px(path) for _, path in pairs],
            names,
            [False] * len(names),
            f"semantic maps {maps.name}",
        )
        self._maps = [path for _, path in pairs]

    def truth(self, index: int) -> SegmentTruth:
        with Image.open(self._maps[index]) as file:
            values = np.array(file)
        known = values != UNLABELLED
        if values.ndim != 2 or (known & (values >= len(self.names))).any():
            raise ValueError(f"{self._maps[index]} holds no labels below {len(self.names)}")
        labels, numbers = np.unique(values[known], return_inverse=True)
        places = np.full(values.shape, VOID, dtype=np.int16)
        places[known] = numbers
        return SegmentTruth(
            torch.from_numpy(places),
            torch.from_numpy(labels.astype(np.int64)),
            torch.zeros(len(labels), dtype=torch.bool),
        )


def _size_px(path: Path) -> tuple[int, int]:
    with Image.open(path) as file:
        return file.size
