"""PNG: lossless, at settings that favour speed over the last byte.

H W pixels, C channels.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

AS_THE_LEFT: Final = 1
AS_ABOVE: Final = 2
"""The filters of a row: its bytes are the differences from those of that neighbour."""

GREY: Final = 0
RGB: Final = 2
RGBA: Final = 6
"""How a file calls what a pixel is made of."""

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_KINDS: Final = {1: GREY, 3: RGB, 4: RGBA}
_LEVEL: Final = 2
"""Of 3; the last is half as slow again, for a hundredth of the size."""

_SILENT: Mapping[str, str] = MappingProxyType({})


def encode_png(pixels: NDArray[Any], *, texts: Mapping[str, str] = _SILENT) -> bytes:
    """[H, W] uint8 or uint16, [H, W, 3] or [H, W, 4] uint8; with `texts` by their keywords.

    Every row is filtered alike: to try all filters on each costs most of what an encoder takes,
    for a twentieth of a photograph's size.
    """
    height, width = pixels.shape[:2]
    kind = _KINDS[pixels.shape[2] if pixels.ndim == 3 else 1]
    bits = 8 * pixels.itemsize
    data = isal_zlib.compress(_as_above(_bytes_of(pixels)), _LEVEL)
    return png_file(width, height, bits, kind, data, texts)


def png_file(
    width: int, height: int, bits: int, kind: int, data: bytes, texts: Mapping[str, str]
) -> bytes:
    """The file, of the zlib stream of its filtered rows."""
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    said = [_text(keyword, text) for keyword, text in texts.items()]
    chunks = [_chunk(b"IHDR", header), *said, _chunk(b"IDAT", data), _chunk(b"IEND", b"")]
    return b"".join([_SIGNATURE, *chunks])


def _bytes_of(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """[H, W C], or twice as wide where a number has two bytes: the upper one first."""
    whole = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">"))
    return whole.reshape(len(pixels), -1).view(np.uint8)


def _as_above(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[H, N] filtered: [H, 1 + N]. Above the first row all is 0."""
    filtered = np.empty((rows.shape[0], 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = AS_ABOVE
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return filtered


def _text(keyword: str, text: str) -> bytes:
    """Latin-1 where that has all the letters: every reader knows it."""
    named = keyword.encode("latin-1") + b"\0"
    try:
        return _chunk(b"tEXt", named + text.encode("latin-1"))
    except UnicodeEncodeError:  # uncompressed, in no certain language
        return _chunk(b"iTXt", named + b"\0\0\0\0" + text.encode())


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = isal_zlib.crc32(data, isal_zlib.crc32(kind))
    return b"".join([struct.pack(">I", len(data)), kind, data, struct.pack(">I", check)])
