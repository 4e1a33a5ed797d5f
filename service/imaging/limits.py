"""What an image may be before anybody decodes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from service.errors import ImageTooLargeError, UnsupportedImageError

ImageFormat = Literal["jpeg", "png", "webp", "gif", "bmp", "tiff"]

ALL_FORMATS: frozenset[ImageFormat] = frozenset(get_args(ImageFormat))


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Checked on the bytes and on the header, so that a refusal costs no pixels."""

    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 64_000_000
    formats: frozenset[ImageFormat] = ALL_FORMATS

    def check_bytes(self, size: int) -> None:
        if size > self.max_bytes:
            raise ImageTooLargeError(
                f"The image has {size} bytes; at most {self.max_bytes} are accepted."
            )

    def check_format(self, name: ImageFormat) -> None:
        if name not in self.formats:
            accepted = ", ".join(sorted(self.formats)).upper()
            raise UnsupportedImageError(f"{name.upper()} is not accepted here, only {accepted}.")

    def check_pixels(self, width_px: int, height_px: int) -> None:
        if width_px * height_px > self.max_pixels:
            raise ImageTooLargeError(
                f"The image is {width_px}×{height_px}, {width_px * height_px} pixels; "
                f"at most {self.max_pixels} are accepted."
            )
