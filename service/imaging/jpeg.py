"""JPEG to RGB through libjpeg-turbo, at the smallest DCT scale that is still large enough."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from service.errors import BadImageError, PanoptesError
from service.imaging.limits import ImageLimits
from service.imaging.orientation import exif_orientation, swaps_sides
from service.imaging.stored import StoredImage

# Sizes that a decode must reach: (stored width, stored height) -> upright (width, height).
Need = Callable[[int, int], tuple[int, int]]

# Only these have vectorised inverse DCTs; 3/8 of a photograph takes longer than 4/8.
_EIGHTHS = (1, 2, 4)

# Each scan of a progressive file visits every block again: a small file with thousands of scans
# keeps a core busy for minutes (CVE-2018-11813 and its kin). Encoders write about ten.
_MAX_SCANS = 100

# What the fast decoder refuses although no pixel need be lost: remarks on what lies between the
# segments, and subsamplings that it has no name for.
_DOUBTS = (
    "extraneous bytes",
    "Invalid SOS parameters",
    "Adobe color transform",
    "JFIF revision",
    "ICC",
    "Could not determine subsampling",
)

_APP1, _SOS, _EOI = 0xE1, 0xDA, 0xD9
_PROGRESSIVE = (0xC2, 0xCA)
_FRAMES = (0xC0, 0xC1, *_PROGRESSIVE)
"""Of the kinds that are decoded."""
_STANDALONE = (0x01, *range(0xD0, 0xD9))


def decode_jpeg(data: bytes | memoryview, limits: ImageLimits, need: Need | None) -> StoredImage:
    """Strict and fast; what the fast decoder only doubts is read again by a patient one, whole."""
    head = _scan_header(data)
    orientation = head.orientation
    if head.progressive and bytes(data).count(b"\xff\xda") > _MAX_SCANS:
        raise BadImageError(f"A progressive JPEG of more than {_MAX_SCANS} scans is refused.")
    try:
        width, height, inks = head.frame or _frame(data)
        limits.check_pixels(width, height)
        eighths = 8
        if need is not None:
            eighths = _eighths(width, height, *_stored_need(need, width, height, orientation))
        pixels = _decode(data, inks, _side(width, eighths), _side(height, eighths))
        return StoredImage(pixels, width, height, orientation, "jpeg", eighths / 8)
    except ValueError as error:
        reason = str(error)
        # The first remark only is reported: behind a harmless one the end may be missing.
        if not any(words in reason for words in _DOUBTS) or not _has_end(data):
            raise BadImageError(f"Broken or truncated JPEG: {reason}") from error
    picture = _decode_patiently(data, limits)
    return StoredImage(picture, *picture.size, orientation, "jpeg")


def _frame(data: bytes | memoryview) -> Frame:
    """Of a file in which it was not found; ValueError says what is wrong with that."""
    height, width, colourspace, _ = simplejpeg.decode_jpeg_header(data)
    return Frame(width, height, colourspace in ("CMYK", "YCCK"))


def _decode(
    data: bytes | memoryview, inks: bool, min_width: int, min_height: int
) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data, "CMYK" if inks else "RGB", min_width=min_width, min_height=min_height
    )
    return _inks_to_rgb(pixels) if inks else pixels


def _decode_patiently(data: bytes | memoryview, limits: ImageLimits) -> Image.Image:
    try:
        picture = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        limits.check_pixels(*picture.size)
        return picture.convert("RGB")
    except PanoptesError:
        raise
    except Exception as error:  # Pillow raises whatever the broken byte leads it to
        raise BadImageError("The JPEG is broken or truncated.") from error


def _stored_need(need: Need, width: int, height: int, orientation: int) -> tuple[int, int]:
    if not swaps_sides(orientation):
        return need(width, height)
    need_height, need_width = need(height, width)
    return need_width, need_height


def _side(full: int, eighths: int) -> int:
    return -(-full * eighths // 8)


def _eighths(width: int, height: int, need_width: int, need_height: int) -> int:
    need_width, need_height = min(need_width, width), min(need_height, height)
    for eighths in _EIGHTHS:
        if _side(width, eighths) >= need_width and _side(height, eighths) >= need_height:
            return eighths
    return 8


def _has_end(data: bytes | memoryview) -> bool:
    whole = bytes(data)
    return whole.rfind(bytes((0xFF, _EOI))) > whole.rfind(bytes((0xFF, _SOS)))


def _inks_to_rgb(inks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Adobe's convention, which every reader follows: 255 is no ink."""
    light = inks[..., :3].astype(np.uint16) * inks[..., 3:]  # [H, W, 3]
    return ((light + 127) // 255).astype(np.uint8)


class Frame(NamedTuple):
    """The picture that the file holds."""

    width: int
    height: int
    inks: bool
    """Cyan, magenta, yellow and black."""


class _Head(NamedTuple):
    orientation: int
    """EXIF's."""
    progressive: bool
    frame: Frame | None


def _scan_header(data: bytes | memoryview) -> _Head:
    """What the segments before the pixels say. To ask the decoder would let go of the interpreter
    for a moment, after which a busy server waits to have it back."""
    orientation, progressive = 1, False
    frame: Frame | None = None
    at, end = 2, len(data) - 4
    while at <= end and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in _STANDALONE:
            at += 2
            continue
        if marker in (_SOS, _EOI):
            break
        size = data[at + 2] << 8 | data[at + 3]
        if marker in _FRAMES and at + 10 <= len(data):
            progressive = progressive or marker in _PROGRESSIVE
            height, width = data[at + 5] << 8 | data[at + 6], data[at + 7] << 8 | data[at + 8]
            frame = Frame(width, height, data[at + 9] == 4) if width and height else None
        elif marker == _APP1 and bytes(data[at + 4 : at + 10]) == b"Exif\0\0":
            orientation = exif_orientation(bytes(data[at + 4 : at + 2 + size]))
        at += 2 + size
    return _Head(orientation, progressive, frame)
