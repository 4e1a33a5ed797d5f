"""A glance at a picture that is being painted: its latents as colours, by one matrix.

C h w latents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True)
class Preview:
    """RGB in 0..255 as a linear function of a cell's latents."""

    matrix: NDArray[np.float32]  # [C, 3]
    bias: NDArray[np.float32]  # [3]

    def __call__(self, latents: NDArray[np.generic]) -> NDArray[np.uint8]:
        """[C, h, w] to [h, w, 3]."""
        cells = np.moveaxis(latents.astype(np.float32), 0, -1)  # [h, w, C]
        colours = cells @ self.matrix + self.bias  # [h, w, 3]
        seen: NDArray[np.uint8] = np.rint(np.clip(colours, 0, 255)).astype(np.uint8)
        return seen


def enlarge(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """[h, w, 3] to this height and width, smoothly."""
    image = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(image)


def preview_of(defaults: Mapping[str, Any], *, channels: int) -> Preview | None:
    """The manifest's `preview`: the matrix row by row, then the bias, separated by commas."""
    text = defaults.get("preview")
    if text is None:
        return None
    try:
        numbers = np.array([float(part) for part in str(text).split(",")], np.float32)
    except ValueError:
        raise ValueError("preview must be numbers separated by commas") from None
    if len(numbers) != 3 * channels + 3 or not np.isfinite(numbers).all():
        raise ValueError(
            f"preview must be {channels} × 3 numbers and 3 more, and has {len(numbers)}"
        )
    return Preview(numbers[:-3].reshape(channels, 3), numbers[-3:])
