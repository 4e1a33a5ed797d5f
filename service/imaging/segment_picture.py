"""Regions drawn on the image: a colour each, a firm edge, and a name where there is room for it.

h w cells, H W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.imaging.canvas import Style, Tag, draw_tags, readable, shorten
from service.imaging.cells import NOTHING, CellMap
from service.imaging.palette import Colour
from service.imaging.tags import Rect

Counts = NDArray[np.unsignedinteger[Any]]

_FILL: Final = 0.5
_EDGE: Final = 0.95
"""How opaque they are."""
_COARSE: Final = 64
"""Cells along a side, at most, in which room for a name is looked for."""


@dataclass(frozen=True, slots=True)
class Painted:
    """How the region with this value looks; one that stands out has a firm edge."""

    value: int
    box_px: Rect
    colour: Colour
    text: str
    stands_out: bool = True


def draw_segments(
    image: NDArray[np.uint8], cell_map: CellMap, regions: Sequence[Painted]
) -> NDArray[np.uint8]:
    """The picture [H, W, 3] under its regions. A picture too small for text is enlarged."""
    page, scale = readable(image)
    if scale > 1:
        cell_map = cell_map.enlarged(*page.size)
    style = Style.of(*page.size)
    layer = Image.fromarray(_layer(cell_map, regions, style.line_px))
    page.paste(layer, mask=layer)
    _name(page, cell_map, regions, [_scaled(region.box_px, scale) for region in regions], style)
    return np.asarray(page)


def _layer(cell_map: CellMap, regions: Sequence[Painted], line_px: int) -> NDArray[np.uint8]:
    """What lies on the picture, in colours and their opacity: [H, W, 4]."""
    fill, edge = np.zeros((2, 256, 4), np.uint8)
    for region in regions:
        fill[region.value] = *region.colour, round(255 * _FILL)
        edge[region.value] = *region.colour, round(255 * (_EDGE if region.stands_out else _FILL))
    fills, edges = (table.view(np.uint32)[:, 0][cell_map.cells] for table in (fill, edge))
    reach = math.ceil(line_px / cell_map.cell_px) - 1
    cells = np.where(_edges_around(cell_map.cells, 2 * reach + 1) > reach, edges, fills)
    pixels = cell_map.spread(cells)
    return pixels.view(np.uint8).reshape(*pixels.shape, 4)


def _edges(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """1 on both sides of every line between two values."""
    is_edge = np.zeros(values.shape, np.bool_)
    across, down = values[:, 1:] != values[:, :-1], values[1:] != values[:-1]
    is_edge[:, 1:] |= across
    is_edge[:, :-1] |= across
    is_edge[1:] |= down
    is_edge[:-1] |= down
    return is_edge.view(np.uint8)


def _edges_around(values: NDArray[np.uint8], row: int) -> Counts:
    """How many of the row x row cells around are at an edge."""
    counts: Counts = _edges(values).astype(np.uint8 if row**2 < 256 else np.uint16)
    return _window_sums(_window_sums(counts, row).T, row).T


def _window_sums(values: Counts, width: int) -> Counts:
    """The sum of the `width` values around each along the first axis, `width` being odd: of twice
    as many at each step. Beyond the ends all is 0."""
    length, beside = values.shape
    padded = np.zeros_like(values, shape=(length + width - 1, beside))  # as it lies in memory
    padded[width // 2 : width // 2 + length] = values
    total, done = padded[:length].copy("K"), 1  # of how many values
    doubled, many = padded, 1
    while done < width:
        doubled, many = doubled[:-many] + doubled[many:], 2 * many
        if width & many:
            total += doubled[done : done + length]
            done += many
    return total


def _name(
    page: Image.Image,
    cell_map: CellMap,
    regions: Sequence[Painted],
    boxes: Sequence[Rect],
    style: Style,
) -> None:
    """The small choose first, for they have the least room."""
    rooms = widest_rooms(cell_map)
    spots, tags = [], []
    for region, box in sorted(zip(regions, boxes, strict=True), key=lambda pair: _area(pair[1])):
        text = shorten(region.text, style.font_px, page.width - 2 * style.pad_px)
        tag = Tag(text, region.colour, style)
        width, height = tag.size_px
        x, y, half = rooms.get(region.value, (0.0, 0.0, 0.0))
        if half >= height:
            left, top = round(x - width / 2), round(y + height / 2)
            spots.append((left, top, left + width, top + height))  # the tag goes above
        else:
            spots.append(box)
        tags.append(tag)
    draw_tags(page, tags, spots)


def widest_rooms(cell_map: CellMap) -> dict[int, tuple[float, float, float]]:
    """For each value the middle of about the largest square inside it, and half its side: x, y and
    half in pixels of the image. Of several the one nearest to the middle of all of them."""
    step = -(-max(cell_map.cells.shape) // _COARSE)
    rows, columns = (
        np.arange(min(step // 2, count - 1), count, step) for count in cell_map.cells.shape
    )
    coarse = cell_map.cells[np.ix_(rows, columns)]  # [h, w]
    left = coarse != NOTHING
    depth = left.astype(np.int64)
    left &= _edges(coarse) == 0  # no two touch that were shrunk once
    left[[0, -1]] = left[:, [0, -1]] = False
    while left.any():
        depth += left
        left[1:-1, 1:-1] = _all_around(left)
    y_px = (cell_map.rows_px[rows] + cell_map.rows_px[rows + 1]) / 2
    x_px = (cell_map.columns_px[columns] + cell_map.columns_px[columns + 1]) / 2
    rooms = {}
    for value in np.unique(coarse[coarse != NOTHING]).tolist():
        inside = coarse == value
        deepest = int(depth[inside].max())
        y, x = np.nonzero(inside & (depth == deepest))
        best = ((x - x.mean()) ** 2 + (y - y.mean()) ** 2).argmin()
        half_px = (deepest - 0.5) * step * cell_map.cell_px
        rooms[value] = (float(x_px[x[best]]), float(y_px[y[best]]), half_px)
    return rooms


def _all_around(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether a cell and the eight around it are true, of those inside: [h - 2, w - 2]."""
    across = cells[:, :-2] & cells[:, 1:-1]
    across &= cells[:, 2:]
    down = across[:-2] & across[1:-1]
    down &= across[2:]
    return down


def _scaled(box: Rect, scale: float) -> Rect:
    left, top, right, bottom = (round(side * scale) for side in box)
    return left, top, right, bottom


def _area(box: Rect) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
