"""An image as its file stores it: decoded, perhaps at a reduced scale, but not yet upright."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.imaging.limits import ImageFormat
from service.imaging.orientation import swaps_sides


@dataclass(frozen=True, slots=True)
class StoredImage:
    """`picture` is RGB and has `scale` times the stored sides, rounded up; in the order in which
    the decoder gave it, so that the resize that follows needs no copy to another library."""

    picture: NDArray[np.uint8] | Image.Image
    stored_width_px: int
    stored_height_px: int
    orientation: int
    format: ImageFormat
    scale: float = 1.0

    @property
    def upright_size_px(self) -> tuple[int, int]:
        """(width, height) of the image as sent, after EXIF rotation."""
        size = self.stored_width_px, self.stored_height_px
        return size[::-1] if swaps_sides(self.orientation) else size
