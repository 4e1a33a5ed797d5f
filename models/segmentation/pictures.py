"""Pictures of an evaluation that people look at."""

import colorsys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

# Legend: h w pixels of an image, n segments.

_CELL_PX, _GAP_PX, _TEXT_PX = 256, 6, 18
_UNKNOWN = (40, 40, 40)
_EDGE = (255, 255, 255)
_TITLES = ("image", "truth", "answer")


class Painting(NamedTuple):
    """The segments of one image: `numbers` [h, w] are rows of `labels` [n], or VOID."""

    numbers: Tensor
    labels: Tensor


def draw_sheet(
    rows: Sequence[tuple[Tensor, Painting, Painting]],
    captions: Sequence[str],
    names: Sequence[str],
    is_thing: Sequence[bool],
    path: Path,
) -> None:
    """One row for each of (image uint8 [h, w, 3], truth, answer), and the names of the colours."""
    width = 3 * (_CELL_PX + _GAP_PX)
    legend_px = _TEXT_PX * (1 + len(names) // (width // 90))
    row_px = _CELL_PX + _GAP_PX + _TEXT_PX
    sheet = Image.new("RGB", (width, _TEXT_PX + len(rows) * row_px + legend_px), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for column, title in enumerate(_TITLES):
        pen.text((column * (_CELL_PX + _GAP_PX) + 2, 2), title, fill="black", font=font)
    for number, ((image, truth, answer), caption) in enumerate(zip(rows, captions, strict=True)):
        y = _TEXT_PX + number * row_px
        painted = (image.numpy(), paint(truth, is_thing), paint(answer, is_thing))
        for column, pixels in enumerate(painted):
            picture = Image.fromarray(pixels)
            scale = _CELL_PX / max(picture.size)
            size = (max(1, int(picture.width * scale)), max(1, int(picture.height * scale)))
            sheet.paste(picture.resize(size), (column * (_CELL_PX + _GAP_PX), y))
        pen.text((2, y + _CELL_PX + 2), caption, fill="black", font=font)
    y = _TEXT_PX + len(rows) * row_px
    for label, name in enumerate(names):
        line, place = divmod(label, width // 90)
        corner = (place * 90, y + line * _TEXT_PX)
        fill = _colour(label, 0, is_thing)
        pen.rectangle((*corner, corner[0] + 11, corner[1] + 11), fill=fill)
        pen.text((corner[0] + 15, corner[1] - 2), name[:12], fill="black", font=font)
    sheet.save(path)


def paint(painting: Painting, is_thing: Sequence[bool]) -> NDArray[np.uint8]:
    """A colour a label, a shade for each further segment of it, white edges: uint8 [h, w, 3]."""
    numbers = painting.numbers.numpy().astype(np.int64)
    table = np.zeros((len(painting.labels) + 1, 3), np.uint8)
    table[-1] = _UNKNOWN  # VOID looks up the last
    told: dict[int, int] = {}
    for row, label in enumerate(painting.labels.tolist()):
        table[row] = _colour(label, told.get(label, 0), is_thing)
        told[label] = told.get(label, 0) + 1
    pixels = table[numbers]
    pixels[:, 1:][numbers[:, 1:] != numbers[:, :-1]] = _EDGE
    pixels[1:][numbers[1:] != numbers[:-1]] = _EDGE
    return pixels


def _colour(label: int, repeat: int, is_thing: Sequence[bool]) -> tuple[int, int, int]:
    """Hues around the circle, pale for stuff; further segments of a label are darker and paler by
    turns."""
    value = (0.95, 0.6, 0.8)[repeat % 3] if is_thing[label] else 0.7
    saturation = (0.75, 0.75, 0.4)[repeat % 3] if is_thing[label] else 0.2
    red, green, blue = colorsys.hsv_to_rgb(label / len(is_thing), saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)
