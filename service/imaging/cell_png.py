"""A map of cells as the PNG that COCO keeps such maps in, written without making its pixels.

h cells down, H W pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.imaging.cells import CellMap
from service.imaging.png import AS_ABOVE, AS_THE_LEFT, RGB, png_file

_ADLER: Final = 65521


def encode_cell_png(cell_map: CellMap, texts: Mapping[str, str]) -> bytes:
    """RGB, where R is the cell's value and the others are 0; with `texts` by their keywords.

    All rows of pixels in a row of cells are the same. The first is compressed; the others are
    written as often as need be from one that says: as above.
    """
    data = b"".join(_deflate(cell_map))
    return png_file(cell_map.width_px, cell_map.height_px, 8, RGB, data, texts)


def _deflate(cell_map: CellMap) -> Iterator[bytes]:
    """A zlib stream (RFC 1950). A full flush ends on a byte, and nothing after it refers to what
    was before, so that pieces of several compressors follow one another."""
    rows = _first_rows(cell_map)
    same = bytes([AS_ABOVE]) + bytes(rows.shape[1] - 1)
    same_packed = _compressor()
    again = same_packed.compress(same) + same_packed.flush(zlib.Z_FULL_FLUSH)
    packed = _compressor()
    checksum = 1
    yield b"\x78\x01"
    for row, height in zip(rows, cell_map.row_heights_px.tolist(), strict=True):
        checksum = zlib.adler32(row, checksum)
        yield packed.compress(row)
        if height > 1:
            yield packed.flush(zlib.Z_FULL_FLUSH)
            yield again * (height - 1)
            checksum = _adler_of_same(checksum, len(same), height - 1)
    yield packed.flush()
    yield struct.pack(">I", checksum)


def _first_rows(cell_map: CellMap) -> NDArray[np.uint8]:
    """The first row of pixels of each row of cells, filtered: [h, 1 + 3 W]."""
    values = cell_map.cells.repeat(cell_map.column_widths_px, axis=1)  # [h, W]
    rows = np.zeros((len(values), 1 + 3 * values.shape[1]), np.uint8)
    rows[:, 0] = AS_THE_LEFT
    rows[:, 1] = values[:, 0]
    np.subtract(values[:, 1:], values[:, :-1], out=rows[:, 4::3])
    return rows


def _compressor() -> zlib._Compress:
    """Runs alone: such rows are hardly anything else."""
    return zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_RLE)


def _adler_of_same(checksum: int, size: int, times: int) -> int:
    """Adler-32 (RFC 1950, 8.2) after as many rows more of `AS_ABOVE` and zeros: the sum of bytes
    grows by the former once a row, the sum of sums by the sum of bytes once a byte."""
    low, high = checksum & 0xFFFF, checksum >> 16
    high += size * (times * low + AS_ABOVE * times * (times + 1) // 2)
    low += AS_ABOVE * times
    return high % _ADLER << 16 | low % _ADLER
