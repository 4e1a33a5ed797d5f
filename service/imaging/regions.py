"""What is where on a map of regions: areas, boxes and COCO's run lengths, straight from its cells.

R runs, one after the other down the image's columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.imaging.cells import NOTHING, CellMap, Ints
from service.imaging.rle import compress_all

Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Regions:
    """All pixels of the image that have one value: a region for each of the K values."""

    values: list[int]
    areas_px: list[int]
    boxes_px: list[Box]
    _starts: Ints  # [R], runs by region
    _ends: Ints
    _firsts: Ints  # [K], the run at which each region begins
    _size_px: int

    def run_lengths(self) -> list[str]:
        """COCO's, of each region's mask; written when somebody asks, for they cost more than all
        the rest."""
        return _run_lengths(self._starts, self._ends, self._firsts, self._size_px)


def find_regions(cell_map: CellMap) -> Regions:
    """A region for each value but `NOTHING`, by value. Costs as much as the map has runs: the
    image's pixels are never made."""
    values, starts, ends = column_runs(cell_map)
    order = values.argsort(kind="stable")
    values = values[order]
    nothing = values.searchsorted(NOTHING, side="right")
    values, order = values[nothing:], order[nothing:]
    starts, ends = starts[order], ends[order]
    (firsts,) = _is_new(values).nonzero()
    return Regions(
        values[firsts].tolist(),
        np.add.reduceat(ends - starts, firsts).tolist(),
        _boxes(starts, ends, firsts, cell_map.height_px),
        starts,
        ends,
        firsts,
        cell_map.height_px * cell_map.width_px,
    )


def column_runs(cell_map: CellMap) -> tuple[NDArray[np.uint8], Ints, Ints]:
    """Runs of one value down the columns of the image: values, first pixels, pixels after the last.

    Runs go on from the foot of a column to the head of the next.
    """
    height, width = cell_map.cells.shape
    columns = cell_map.cells.T.reshape(-1)  # [w h]
    begins = _is_new(columns)
    begins[::height] = True
    at = np.flatnonzero(begins)
    x, y = np.divmod(at, height)
    values, tops = columns[at], cell_map.rows_px[y]
    # Each column of cells stands for as many of the image as it is wide.
    runs = np.bincount(x, minlength=width)
    first = runs.cumsum() - runs
    widths = cell_map.column_widths_px
    per_column = runs.repeat(widths)  # [W]
    ends = per_column.cumsum()
    taken = np.arange(ends[-1]) + (first.repeat(widths) - (ends - per_column)).repeat(per_column)
    heads = (np.arange(len(per_column)) * cell_map.height_px).repeat(per_column)
    values, starts = values[taken], heads + tops[taken]
    is_new = _is_new(values)
    values, starts = values[is_new], starts[is_new]
    ends = np.empty_like(starts)
    ends[:-1], ends[-1] = starts[1:], cell_map.width_px * cell_map.height_px
    return values, starts, ends


def _is_new(values: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each is another than the one before it."""
    is_new = np.ones(values.shape, np.bool_)
    np.not_equal(values[1:], values[:-1], out=is_new[1:])
    return is_new


def _boxes(starts: Ints, ends: Ints, firsts: Ints, height_px: int) -> list[Box]:
    left, top = np.divmod(starts, height_px)
    right, bottom = np.divmod(ends - 1, height_px)
    spills = left != right  # over the foot of its column: it has rows from the first to the last
    top[spills], bottom[spills] = 0, height_px - 1
    sides = (
        np.minimum.reduceat(left, firsts),
        np.minimum.reduceat(top, firsts),
        np.maximum.reduceat(right, firsts) + 1,
        np.maximum.reduceat(bottom, firsts) + 1,
    )
    return list(zip(*(side.tolist() for side in sides), strict=True))


def _run_lengths(starts: Ints, ends: Ints, firsts: Ints, size_px: int) -> list[str]:
    """Of each region: the pixels before its first run, that run, those up to the next, and so on;
    at the end what is left of the image, if anything is."""
    if not firsts.size:
        return []
    lasts = np.append(firsts[1:], len(starts)) - 1
    pairs = np.empty((len(starts), 2), np.int64)  # gap, run
    pairs[1:, 0] = starts[1:] - ends[:-1]
    pairs[firsts, 0] = starts[firsts]
    pairs[:, 1] = ends - starts
    rest = size_px - ends[lasts]
    has_rest = rest > 0
    after = 2 * (lasts + 1)
    counts = np.insert(pairs.reshape(-1), after[has_rest], rest[has_rest])
    return compress_all(counts, 2 * (lasts + 1 - firsts) + has_rest)
