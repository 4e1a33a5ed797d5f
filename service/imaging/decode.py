"""Bytes to upright RGB pixels, after the limits have been checked on the header."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.imaging.jpeg import Need, decode_jpeg
from service.imaging.limits import ImageFormat, ImageLimits
from service.imaging.orientation import upright
from service.imaging.raster import decode_raster
from service.imaging.sniff import sniff
from service.imaging.stored import StoredImage


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The image as sent, after EXIF rotation and before any scaling."""

    width_px: int
    height_px: int
    format: ImageFormat


@dataclass(frozen=True, slots=True)
class DecodedImage(ImageInfo):
    """`pixels` is [h, w, 3] RGB uint8, upright and contiguous; smaller than the image as sent where
    the caller allowed it. It may be read-only."""

    pixels: NDArray[np.uint8]


def decode(
    data: bytes | memoryview,
    limits: ImageLimits,
    *,
    at_least_px: tuple[int, int] | None = None,
) -> DecodedImage:
    """Decode to RGB; transparent pixels are laid on white, and colour profiles are not applied.

    `at_least_px` (width, height), upright, lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size as
    long as neither side becomes smaller than this. Raises `BadImageError`, `ImageTooLargeError` or
    `UnsupportedImageError`.
    """
    need: Need | None = None if at_least_px is None else lambda width, height: at_least_px
    stored = read_stored(data, limits, need)
    width_px, height_px = stored.upright_size_px
    pixels = upright(np.asarray(stored.picture), stored.orientation)
    return DecodedImage(width_px, height_px, stored.format, np.ascontiguousarray(pixels))


def read_stored(data: bytes | memoryview, limits: ImageLimits, need: Need | None) -> StoredImage:
    """Decode without turning upright. `need` is given the upright size and says what it must be."""
    limits.check_bytes(len(data))
    image_format = sniff(data)
    limits.check_format(image_format)
    if image_format == "jpeg":
        return decode_jpeg(data, limits, need)
    return decode_raster(data, image_format, limits)
