"""Regions drawn on the image: a colour each, a firm edge, and a name where there is room for it.

h w cells, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.imaging.canvas import Style, Tag, draw_tags, font, readable, shorten
from service.imaging.cells import NOTHING, CellMap
from service.imaging.palette import Colour
from service.imaging.tags import Rect

Counts = NDArray[np.unsignedinteger[Any]]

_FILL: Final = 0.5
_EDGE: Final = 0.95
_COARSE: Final = 96
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
    style = Style.of(*page.size)
    values = cell_map.pixels()
    if scale > 1:
        values = np.asarray(Image.fromarray(values).resize(page.size, Image.Resampling.NEAREST))
    _paint(page, values, regions, style.line_px)
    _name(page, cell_map, regions, scale, style)
    return np.asarray(page)


def _paint(
    page: Image.Image, values: NDArray[np.uint8], regions: Sequence[Painted], line_px: int
) -> None:
    colours = np.zeros((256, 3), np.uint8)
    fill, firm = np.zeros(256, np.uint8), np.zeros(256, np.uint8)
    for region in regions:
        colours[region.value] = region.colour
        fill[region.value] = round(255 * _FILL)
        firm[region.value] = round(255 * (_EDGE if region.stands_out else _FILL))
    regional = Image.fromarray(values)
    row = 2 * line_px + 1
    near = Image.fromarray(_edges_around(values, row))
    # A straight edge fills a row of the pixels around.
    near = near.point([min(255, round(255 * count / row)) for count in range(256)])
    opacity = Image.composite(regional.point(firm.tolist()), regional.point(fill.tolist()), near)
    layer = regional.convert("P")
    layer.putpalette(colours.tobytes())
    page.paste(layer.convert("RGB"), mask=opacity)


def _edges(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """1 on both sides of every line between two values."""
    is_edge = np.zeros(values.shape, np.bool_)
    across, down = values[:, 1:] != values[:, :-1], values[1:] != values[:-1]
    is_edge[:, 1:] |= across
    is_edge[:, :-1] |= across
    is_edge[1:] |= down
    is_edge[:-1] |= down
    return is_edge.view(np.uint8)


def _edges_around(values: NDArray[np.uint8], row: int) -> NDArray[np.uint8]:
    """How many of the row x row pixels around are at an edge; from 255 on they are not counted."""
    counts: Counts = _edges(values).astype(np.uint8 if row**2 < 256 else np.uint16)
    counts = _window_sums(_window_sums(counts, row).T, row).T
    return np.minimum(counts, 255).astype(np.uint8, copy=False)


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
    scale: float,
    style: Style,
) -> None:
    """The small choose first, for they have the least room."""
    face = font(style.font_px)
    rooms = widest_rooms(cell_map)
    boxes, tags = [], []
    for region in sorted(regions, key=lambda region: _area(region.box_px)):
        text = shorten(region.text, face, page.width - 2 * style.pad_px)
        tag = Tag(text, region.colour, style)
        width, height = tag.size_px
        x, y, half_px = rooms.get(region.value, (0.0, 0.0, 0.0))
        if half_px * scale >= height:
            left, top = round(x * scale - width / 2), round(y * scale + height / 2)
            boxes.append((left, top, left + width, top + height))  # the tag goes above
        else:
            left, top, right, bottom = (round(side * scale) for side in region.box_px)
            boxes.append((left, top, right, bottom))
        tags.append(tag)
    draw_tags(page, tags, boxes)


def widest_rooms(cell_map: CellMap) -> dict[int, tuple[float, float, float]]:
    """For each value the middle of about the largest square inside it, and half its side: x, y and
    half in pixels of the image. Of several the one nearest to the middle of all of them."""
    step = -(-max(cell_map.cells.shape) // _COARSE)
    rows, columns = (
        np.arange(min(step // 2, count - 1), count, step) for count in cell_map.cells.shape
    )
    coarse = cell_map.cells[np.ix_(rows, columns)]  # [h, w]
    depth = np.zeros(coarse.shape, np.int64)
    left, values = coarse != NOTHING, coarse
    while left.any():
        depth += left
        left = values = left & _amid_its_like(values)  # no two touch that were shrunk once
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


def _amid_its_like(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether all around a cell have its value; those at the edge of the image have no all."""
    across = np.zeros(values.shape, np.bool_)
    across[:, 1:-1] = (values[:, 1:-1] == values[:, :-2]) & (values[:, 1:-1] == values[:, 2:])
    amid = np.zeros(values.shape, np.bool_)
    middle = values[1:-1]
    amid[1:-1] = (middle == values[:-2]) & (middle == values[2:])
    amid[1:-1] &= across[:-2] & across[1:-1] & across[2:]
    return amid


def _area(box: Rect) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
