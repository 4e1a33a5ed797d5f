"""Images to prove a graph with, and labelled ones to measure it on.

N images, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.bundle import Tensors

Pixels = npt.NDArray[np.uint8]
GOLDEN_IMAGES = 8
GOLDEN_REAL_IMAGES = 4


@dataclass(frozen=True)
class LabelledPixels:
    """Images at a graph's input size, with the index of the label of each."""

    images: Pixels  # [N, H, W, 3]
    labels: npt.NDArray[np.int64]  # [N]
    description: str

    def __len__(self) -> int:
        return len(self.labels)

    def split(self, count: int) -> tuple[LabelledPixels, LabelledPixels]:
        """The first `count` and the rest."""
        first, rest = slice(count), slice(count, None)
        return (
            LabelledPixels(self.images[first], self.labels[first], self.description),
            LabelledPixels(self.images[rest], self.labels[rest], self.description),
        )

    @property
    def tensors(self) -> Tensors:
        return {"image": self.images}


def synthetic_images(height: int, width: int, count: int, *, seed: int = 0) -> Pixels:
    """`count` unlike images [N, H, W, 3]: grey, a ramp, noise, then coloured patches."""
    generator = np.random.default_rng(seed)
    across = np.linspace(0, 255, width)[None, :, None]  # [1, W, 1]
    down = np.linspace(255, 0, height)[:, None, None]  # [H, 1, 1]
    made = [
        np.full((height, width, 3), 128.0),
        (across + down) / 2 * np.array([1.0, 0.6, 0.2]),
        generator.integers(0, 256, (height, width, 3)),
    ]
    while len(made) < count:
        patches = generator.integers(0, 256, (4, 4, 3))  # [4, 4, 3]
        rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
        made.append(patches[rows[:, None], columns])  # [H, W, 3]
    return np.stack(made[:count]).astype(np.uint8)


def golden_images(height: int, width: int, real: Pixels | None) -> Pixels:
    """Eight images [8, H, W, 3], half of them real where there are as many."""
    kept = (
        real[:GOLDEN_REAL_IMAGES] if real is not None else np.empty((0, height, width, 3), np.uint8)
    )
    return np.concatenate([synthetic_images(height, width, GOLDEN_IMAGES - len(kept)), kept])
