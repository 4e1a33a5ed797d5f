"""A map of regions as cells on a grid whose lines lie on the image's pixels.

A model's map is far coarser than the image. Kept as cells, the map of a large image costs no more
than that of a small one, until somebody asks for its pixels.

h w cells, H W pixels of the image as sent.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.imaging.placement import Placement

NOTHING: Final = 0
"""What is in the cells that no model looked at."""

MOST_PARTS: Final = 8
"""Into how many parts a side of the model's cells is cut at most."""
MOST_CELLS: Final = 1024
"""How many cells there are then along a side at most."""

Ints = NDArray[np.int64]
Map = NDArray[np.uint8]
N = TypeVar("N", bound=np.generic)


@dataclass(frozen=True, slots=True)
class CellMap:
    """Cell (y, x) fills the pixels from `rows_px[y]` to `rows_px[y + 1]`, and so across; the lines
    rise strictly from 0 to the image's height and width."""

    cells: Map  # [h, w]
    rows_px: Ints  # [h + 1]
    columns_px: Ints  # [w + 1]

    @property
    def width_px(self) -> int:
        return int(self.columns_px[-1])

    @property
    def height_px(self) -> int:
        return int(self.rows_px[-1])

    @property
    def column_widths_px(self) -> Ints:
        return self.columns_px[1:] - self.columns_px[:-1]

    @property
    def row_heights_px(self) -> Ints:
        return self.rows_px[1:] - self.rows_px[:-1]

    @property
    def cell_px(self) -> float:
        """The mean side of a cell."""
        height, width = self.cells.shape
        return float(np.sqrt(self.width_px * self.height_px / (width * height)))

    def look_up(self, table: NDArray[np.uint8]) -> CellMap:
        """Every cell replaced by its value in `table` [256]."""
        return CellMap(table[self.cells], self.rows_px, self.columns_px)

    def pixels(self) -> Map:
        """The map of the image [H, W]."""
        return self.spread(self.cells)

    def spread(self, cells: NDArray[N]) -> NDArray[N]:
        """Something else of every cell [h, w], for every pixel [H, W]."""
        across = cells.repeat(self.column_widths_px, axis=1)
        return across.repeat(self.row_heights_px, axis=0)

    def enlarged(self, width_px: int, height_px: int) -> CellMap:
        """The map of a larger image, in cells of a pixel."""
        size = width_px, height_px
        values = Image.fromarray(self.pixels()).resize(size, Image.Resampling.NEAREST)
        return CellMap(np.asarray(values), np.arange(height_px + 1), np.arange(width_px + 1))


def lay_cells(values: Map, placement: Placement) -> CellMap:
    """A map [h, w] of the model's whole input as cells of the image.

    A pixel has what the model says of the place of its middle. Where the image is finer than the
    map, cells are cut into parts, and each part has the value that weighs most there between the
    four middles of cells around it.
    """
    grid = _grid(values.shape[0], values.shape[1], placement)
    cells = refine(values[grid.seen], grid.parts)  # no margin has a say
    if grid.is_framed:
        framed = np.full((cells.shape[0] + 2, cells.shape[1] + 2), NOTHING, np.uint8)
        framed[1:-1, 1:-1] = cells
        cells = framed
    return CellMap(cells[grid.rows][:, grid.columns], grid.rows_px, grid.columns_px)


@dataclass(frozen=True, slots=True)
class _Grid:
    """How the cells of a model's map become those of images of one size."""

    seen: tuple[slice, slice]
    """Those of the model's map that show the image."""
    parts: int
    is_framed: bool
    """Whether the model did not see all of the image, so that there is something around them."""
    rows: slice | Ints
    """Of the parts, and what is around them: those that hold the middle of a pixel."""
    columns: slice | Ints
    rows_px: Ints
    columns_px: Ints


@functools.lru_cache(maxsize=64)
def _grid(height: int, width: int, placement: Placement) -> _Grid:
    left, top, right, bottom = placement.image_rect_px
    fill_left, fill_top, fill_right, fill_bottom = placement.input_rect_px
    down = _Axis.of(fill_top, fill_bottom, placement.input_height_px / height, top, bottom)
    across = _Axis.of(fill_left, fill_right, placement.input_width_px / width, left, right)
    parts = _used(
        min(MOST_PARTS, MOST_CELLS // max(height, width), int(min(down.cell_px, across.cell_px)))
    )
    rows, columns = (down.end - down.first) * parts, (across.end - across.first) * parts
    y, rows_px = down.lay(rows, placement.image_height_px)
    x, columns_px = across.lay(columns, placement.image_width_px)
    is_framed = bool(y[0] == 0 or y[-1] > rows or x[0] == 0 or x[-1] > columns)
    if not is_framed:
        y, x = y - 1, x - 1
    for lines in (rows_px, columns_px):
        lines.setflags(write=False)  # many images share them
    return _Grid(
        (slice(down.first, down.end), slice(across.first, across.end)),
        parts,
        is_framed,
        _slice_or(y),
        _slice_or(x),
        rows_px,
        columns_px,
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where the cells from `first` up to `end` lie along one side of the image, of which the model
    saw from `low_px` to `high_px`."""

    first: int
    end: int
    start_px: float
    cell_px: float
    low_px: float
    high_px: float

    @classmethod
    def of(cls, fill_low: int, fill_high: int, cell: float, low_px: float, high_px: float) -> _Axis:
        """`cell` pixels of the input are one cell; the image fills those from low to high."""
        # What has its middle in a margin says nothing of the image: its neighbour goes on instead.
        first, end = math.ceil(fill_low / cell - 0.5), math.ceil(fill_high / cell - 0.5)
        if first >= end:
            first = int((fill_low + fill_high) / 2 // cell)
            end = first + 1
        scale = (high_px - low_px) / (fill_high - fill_low)
        start_px = low_px + (first * cell - fill_low) * scale
        return cls(first, end, start_px, cell * scale, low_px, high_px)

    def lay(self, cells: int, size_px: int) -> tuple[Ints, Ints]:
        """The cells are cut into as many `cells`. The indices of those that hold the middle of a
        pixel, where 0 and `cells` + 1 are what lies before and behind all that was seen; and the
        lines between their pixels, with both ends of the image."""
        part_px = self.cell_px * (self.end - self.first) / cells
        lines = self.start_px + np.arange(cells + 1) * part_px
        lines = np.clip(lines, self.low_px, self.high_px)
        lines[[0, -1]] = self.low_px, self.high_px
        lines = np.ceil(lines - 0.5 - 1e-6).astype(np.int64)
        edges = np.concatenate(([0], lines, [size_px]))
        held = np.flatnonzero(np.diff(edges))
        return held, np.append(edges[held], size_px)


def _slice_or(indices: Ints) -> slice | Ints:
    """Rising indices as a slice where none is left out, as mostly: a view will do."""
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1) if last - first + 1 == len(indices) else indices


def _used(parts: int) -> int:
    """An even number of parts or else one less; and of fewer than four the middle of its own cell
    outweighs all others together: none is cut."""
    return parts - parts % 2 if parts >= 4 else 1


def refine(values: Map, parts: int) -> Map:
    """Each cell of a map [h, w] cut into `parts` by `parts`, or a few less: [h · parts, w · parts],
    where each has the value with the largest share, bilinearly."""
    parts = _used(parts)
    if parts == 1:
        return values
    height, width = values.shape
    around = np.empty((height + 2, width + 2), np.uint8)
    around[1:-1, 1:-1] = values
    around[[0, -1], 1:-1] = values[[0, -1]]
    around[:, [0, -1]] = around[:, [1, -2]]
    # Between four middles lies one block of parts: [h + 1, w + 1].
    corners = around[:-1, :-1], around[:-1, 1:], around[1:, :-1], around[1:, 1:]
    blocks = np.empty((height + 1, parts, width + 1, parts), np.uint8)
    for part in range(parts):  # a long way faster than numpy, whose innermost loop would be this
        blocks[:, 0, :, part] = corners[0]
    blocks[:, 1:] = blocks[:, :1]
    breaks_across = around[:, 1:] != around[:, :-1]  # [h + 2, w + 1]
    breaks_down = around[1:, :-1] != around[:-1, :-1]  # [h + 1, w + 1]
    y, x = np.nonzero(breaks_across[:-1] | breaks_across[1:] | breaks_down)
    if len(y):
        mixed = np.stack([corner[y, x] for corner in corners])  # [4, N]
        kind = sum(
            (mixed[one] == mixed[other]).astype(np.uint8) << bit
            for bit, (one, other) in enumerate(_PAIRS)
        )
        winner = _winners(parts)[kind]  # [N, parts, parts]
        blocks[y, :, x, :] = np.take_along_axis(
            mixed.T, winner.reshape(len(y), -1), axis=1
        ).reshape(winner.shape)
    whole = blocks.reshape((height + 1) * parts, (width + 1) * parts)
    half = parts // 2
    return whole[half:-half, half:-half]


_PAIRS: Final = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


@functools.cache
def _winners(parts: int) -> NDArray[np.intp]:
    """Which of four corners has the value that weighs most, for each way in which their values may
    be equal (a bit for each of `_PAIRS`) and each part between them: [64, parts, parts]."""
    at = (np.arange(parts) + 0.5) / parts
    down, across = at[:, None], at[None, :]
    weights = np.stack(
        [(1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across]
    )  # [4, parts, parts]
    same = np.broadcast_to(np.eye(4), (64, 4, 4)).copy()
    for bit, (one, other) in enumerate(_PAIRS):
        same[:, one, other] = same[:, other, one] = np.arange(64) >> bit & 1
    shares = np.einsum("kij,jyx->kiyx", same, weights)
    winners: NDArray[np.intp] = shares.round(9).argmax(axis=1)
    return winners
