"""EXIF orientation: where it is written, and how pixels are turned upright by it."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

ORIENTATION_TAG = 0x0112

_SHORT, _LONG = 3, 4
_EXIF_HEADER = b"Exif\0\0"


def swaps_sides(orientation: int) -> bool:
    """Whether the upright image is as wide as the stored one is high."""
    return orientation >= 5


def upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A view of `pixels` [H, W, ...] as EXIF says it is to be seen."""
    if orientation in (3, 4, 6, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7, 8):
        pixels = pixels[:, ::-1]
    return pixels.swapaxes(0, 1) if swaps_sides(orientation) else pixels


def exif_orientation(exif: bytes) -> int:
    """1 to 8 from an EXIF block; 1 where it is broken or silent, for pixels matter more."""
    exif = exif.removeprefix(_EXIF_HEADER)
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (ifd,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, ifd)
        for at in range(ifd + 2, ifd + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, at)
            if tag == ORIENTATION_TAG and kind in (_SHORT, _LONG):
                (value,) = struct.unpack_from(
                    f"{order}{'H' if kind == _SHORT else 'I'}", exif, at + 8
                )
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
