"""Image folders, the form that most people's labelled photographs come in: split/class/file."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})


class FolderImages:
    """The images under `root/split/<class>/`. They are decoded whenever they are read.

    Classes are numbered by `names`, or in alphabetical order. An image is scaled by its shorter
    side and cut around its centre; windows are relative to that square.
    """

    def __init__(self, root: Path, split: str, names: Sequence[str] | None = None) -> None:
        folder = root / split
        if not folder.is_dir():
            raise ValueError(f"{root} has no folder {split!r}; it should hold one folder a class")
        found = sorted(path.name for path in folder.iterdir() if path.is_dir())
        self.names = tuple(names) if names is not None else tuple(found)
        if strangers := sorted(set(found) - set(self.names)):
            raise ValueError(f"{folder} holds classes that are not in training: {strangers}")
        self.files: list[Path] = []
        labels: list[int] = []
        for label, name in enumerate(self.names):
            files = _images_under(folder / name)
            self.files += files
            labels += [label] * len(files)
        if not self.files:
            raise ValueError(f"{folder} holds no images ({', '.join(sorted(SUFFIXES))})")
        self.labels = torch.tensor(labels, dtype=torch.int64)
        self.description = f"image folder {root.name}/{split}, {len(self.files)} images"

    def __len__(self) -> int:
        return len(self.files)

    def read(self, indices: Tensor, size: tuple[int, int], windows: Tensor | None = None) -> Tensor:
        """See `LabelledImages.read`."""
        result = torch.empty(len(indices), *size, 3, dtype=torch.uint8)  # [B, H, W, 3]
        for row, index in enumerate(indices.tolist()):
            window = (0.0, 0.0, 1.0, 1.0) if windows is None else tuple(windows[row].tolist())
            result[row] = decode_square(self.files[index], size, window)
        return result


def _images_under(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def decode_square(
    source: Path | BinaryIO, size: tuple[int, int], window: tuple[float, ...]
) -> Tensor:
    """A window of an image's middle square as uint8 RGB [H, W, 3]: see `LabelledImages.read`.

    The middle has the aspect of `size` and touches two borders of the image.
    """
    height, width = size
    try:
        with Image.open(source) as file:
            # JPEG decodes at a smaller scale at once; 2 leaves room for a window of half the side.
            file.draft("RGB", (2 * width, 2 * height))
            image = ImageOps.exif_transpose(file).convert("RGB")
    except OSError as error:
        raise ValueError(f"{source} is no image that can be read: {error}") from error
    box = _pixel_box(image.size, width / height, window)
    resized = image.resize((width, height), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    return torch.from_numpy(np.array(resized))


def _pixel_box(
    image_size: tuple[int, int], aspect: float, window: tuple[float, ...]
) -> tuple[float, float, float, float]:
    """The window in pixels of the image, kept inside it."""
    image_width, image_height = image_size
    width = min(image_width, image_height * aspect)
    height = width / aspect
    left, top = (image_width - width) / 2, (image_height - height) / 2
    x1, y1, x2, y2 = window
    return (
        min(max(left + x1 * width, 0.0), image_width - 1.0),
        min(max(top + y1 * height, 0.0), image_height - 1.0),
        max(min(left + x2 * width, float(image_width)), 1.0),
        max(min(top + y2 * height, float(image_height)), 1.0),
    )
