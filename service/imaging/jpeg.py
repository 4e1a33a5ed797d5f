"""JPEG to RGB through libjpeg-turbo, at the smallest DCT scale that is still large enough."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from service.errors import BadImageError
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

# What a decoder can remark on without a single pixel being in doubt.
_HARMLESS = ("extraneous bytes", "Invalid SOS parameters", "Adobe color transform", "ICC")

_APP1, _SOS, _EOI = 0xE1, 0xDA, 0xD9
_PROGRESSIVE = (0xC2, 0xCA)
_STANDALONE = (0x01, *range(0xD0, 0xD9))


def decode_jpeg(data: bytes | memoryview, limits: ImageLimits, need: Need | None) -> StoredImage:
    try:
        height, width, colourspace, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise BadImageError(f"Broken JPEG header: {error}") from error
    limits.check_pixels(width, height)
    orientation, progressive = _scan_header(data)
    if progressive and bytes(data).count(b"\xff\xda") > _MAX_SCANS:
        raise BadImageError(f"A progressive JPEG of more than {_MAX_SCANS} scans is refused.")

    eighths = 8
    if need is not None:
        if swaps_sides(orientation):
            need_height, need_width = need(height, width)
        else:
            need_width, need_height = need(width, height)
        eighths = _eighths(width, height, need_width, need_height)

    inks = colourspace in ("CMYK", "YCCK")
    pixels = _pixels(data, "CMYK" if inks else "RGB", _side(width, eighths), _side(height, eighths))
    return StoredImage(
        picture=_inks_to_rgb(pixels) if inks else pixels,
        stored_width_px=width,
        stored_height_px=height,
        orientation=orientation,
        format="jpeg",
        scale=eighths / 8,
    )


def _side(full: int, eighths: int) -> int:
    return -(-full * eighths // 8)


def _eighths(width: int, height: int, need_width: int, need_height: int) -> int:
    need_width, need_height = min(need_width, width), min(need_height, height)
    for eighths in _EIGHTHS:
        if _side(width, eighths) >= need_width and _side(height, eighths) >= need_height:
            return eighths
    return 8


def _pixels(
    data: bytes | memoryview, colourspace: str, min_width: int, min_height: int
) -> NDArray[np.uint8]:
    def run(strict: bool) -> NDArray[np.uint8]:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data, colourspace, min_width=min_width, min_height=min_height, strict=strict
        )
        return pixels

    try:
        return run(strict=True)
    except ValueError as error:
        reason = str(error)
        # The decoder reports its first remark only: behind a harmless one the end may be missing.
        if not any(words in reason for words in _HARMLESS) or not _has_end(data):
            raise BadImageError(f"Broken or truncated JPEG: {reason}") from error
    try:
        return run(strict=False)
    except ValueError as error:
        raise BadImageError(f"Broken or truncated JPEG: {error}") from error


def _has_end(data: bytes | memoryview) -> bool:
    whole = bytes(data)
    return whole.rfind(bytes((0xFF, _EOI))) > whole.rfind(bytes((0xFF, _SOS)))


def _inks_to_rgb(inks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Adobe's convention, which every reader follows: 255 is no ink."""
    light = inks[..., :3].astype(np.uint16) * inks[..., 3:]  # [H, W, 3]
    return ((light + 127) // 255).astype(np.uint8)


def _scan_header(data: bytes | memoryview) -> tuple[int, bool]:
    """(EXIF orientation, whether progressive), by stepping over the segments before the pixels."""
    orientation, progressive = 1, False
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
        if marker in _PROGRESSIVE:
            progressive = True
        elif marker == _APP1 and bytes(data[at + 4 : at + 10]) == b"Exif\0\0":
            orientation = exif_orientation(bytes(data[at + 4 : at + 2 + size]))
        at += 2 + size
    return orientation, progressive
