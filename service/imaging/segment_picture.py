"""Regions drawn on the image: a colour each, a firm edge, and a name where there is room for it.

h w cells, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from service.imaging.canvas import Style, fill_rounded, font, readable, shorten
from service.imaging.cells import NOTHING, CellMap
from service.imaging.palette import Colour, text_colour
from service.imaging.tags import Rect, place_tags

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
    # The share of the pixels around that lie at an edge: a straight one fills a row in 2 r + 1.
    near = Image.fromarray(_edges(values)).filter(ImageFilter.BoxBlur(line_px))
    row = 255 / (2 * line_px + 1)
    near = near.point([min(255, round(255 * share / row)) for share in range(256)])
    opacity = Image.composite(regional.point(firm.tolist()), regional.point(fill.tolist()), near)
    layer = regional.convert("P")
    layer.putpalette(colours.tobytes())
    page.paste(layer.convert("RGB"), mask=opacity)


def _edges(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """255 on both sides of every line between two values."""
    is_edge = np.zeros(values.shape, np.bool_)
    across, down = values[:, 1:] != values[:, :-1], values[1:] != values[:-1]
    is_edge[:, 1:] |= across
    is_edge[:, :-1] |= across
    is_edge[1:] |= down
    is_edge[:-1] |= down
    return is_edge.view(np.uint8) * np.uint8(255)


def _name(
    page: Image.Image,
    cell_map: CellMap,
    regions: Sequence[Painted],
    scale: float,
    style: Style,
) -> None:
    """The small choose first, for they have the least room."""
    face = font(style.font_px)
    height = round(style.font_px * 1.5)
    rooms = widest_rooms(cell_map)
    boxes, sizes, named = [], [], []
    for region in sorted(regions, key=lambda region: _area(region.box_px)):
        text = shorten(region.text, face, page.width - 2 * style.pad_px)
        width = round(face.getlength(text)) + 2 * style.pad_px
        x, y, half_px = rooms.get(region.value, (0.0, 0.0, 0.0))
        if half_px * scale >= height:
            left, top = round(x * scale - width / 2), round(y * scale + height / 2)
            boxes.append((left, top, left + width, top + height))  # the tag goes above
        else:
            left, top, right, bottom = (round(side * scale) for side in region.box_px)
            boxes.append((left, top, right, bottom))
        sizes.append((width, height))
        named.append((text, region.colour))
    pen = ImageDraw.Draw(page)
    tags = place_tags(boxes, sizes, page.size)
    for tag, (text, colour) in reversed(list(zip(tags, named, strict=True))):
        fill_rounded(page, tag, style.line_px * 2, colour)
        middle = tag[0] + style.pad_px, (tag[1] + tag[3]) / 2
        pen.text(middle, text, fill=text_colour(colour), font=face, anchor="lm")


def widest_rooms(cell_map: CellMap) -> dict[int, tuple[float, float, float]]:
    """For each value the middle of about the largest square inside it, and half its side: x, y and
    half in pixels of the image. Of several the one nearest to the middle of all of them."""
    step = -(-max(cell_map.cells.shape) // _COARSE)
    rows, columns = (
        np.arange(min(step // 2, count - 1), count, step) for count in cell_map.cells.shape
    )
    coarse = cell_map.cells[np.ix_(rows, columns)]  # [h, w]
    depth = np.zeros(coarse.shape, np.int64)
    left = coarse
    while (left != NOTHING).any():
        depth += left != NOTHING
        left = _shrunk(left)
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


def _shrunk(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What is left of every region without the cells at its edge, and at the image's."""
    kept = np.full(values.shape, NOTHING, np.uint8)
    height, width = values.shape
    if height < 3 or width < 3:
        return kept
    middle = values[1:-1, 1:-1]
    same = np.ones(middle.shape, np.bool_)
    for down in range(3):
        for across in range(3):
            same &= values[down : height - 2 + down, across : width - 2 + across] == middle
    kept[1:-1, 1:-1] = np.where(same, middle, NOTHING)
    return kept


def _area(box: Rect) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
