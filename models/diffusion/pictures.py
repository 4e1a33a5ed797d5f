"""Sheets of painted pictures that people look at."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

# Legend: H W pixels.

_CELL_PX, _GAP_PX, _LINE_PX, _TEXT_PX = 192, 8, 15, 12


def draw_pictures(
    pictures: Sequence[Tensor], titles: Sequence[str], path: Path, *, columns: int = 6
) -> None:
    """Pictures uint8 [H, W, 3] from left to right, each above its title of at most three lines."""
    lines = 3
    height = _CELL_PX + lines * _LINE_PX + 2 * _GAP_PX
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (_CELL_PX + _GAP_PX) + _GAP_PX, rows * height), "white")
    pen = ImageDraw.Draw(sheet)
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        row, column = divmod(i, columns)
        x, y = _GAP_PX + column * (_CELL_PX + _GAP_PX), row * height + _GAP_PX
        sheet.paste(_scaled(picture), (x, y))
        wrapped = textwrap.wrap(title, 31, max_lines=lines, placeholder=" …")
        _write(pen, (x, y + _CELL_PX + 2), wrapped)
    sheet.save(path)


def draw_prompts_by_seeds(
    pictures: Sequence[Sequence[Tensor]], prompts: Sequence[str], path: Path
) -> None:
    """One row a prompt, one column a seed, all uint8 [H, W, 3]; the prompt stands on the left."""
    text_px = 170
    columns = max(len(row) for row in pictures)
    width = text_px + columns * (_CELL_PX + _GAP_PX) + _GAP_PX
    sheet = Image.new("RGB", (width, len(pictures) * (_CELL_PX + _GAP_PX) + _GAP_PX), "white")
    pen = ImageDraw.Draw(sheet)
    for number, (row, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        y = _GAP_PX + number * (_CELL_PX + _GAP_PX)
        wrapped = textwrap.wrap(prompt, 24)
        _write(pen, (_GAP_PX, y + (_CELL_PX - len(wrapped) * _LINE_PX) // 2), wrapped)
        for column, picture in enumerate(row):
            sheet.paste(_scaled(picture), (text_px + column * (_CELL_PX + _GAP_PX), y))
    sheet.save(path)


def _scaled(picture: Tensor) -> Image.Image:
    side = (_CELL_PX, _CELL_PX)
    return Image.fromarray(picture.numpy()).resize(side, Image.Resampling.BICUBIC)


def _write(pen: ImageDraw.ImageDraw, place: tuple[int, int], lines: Sequence[str]) -> None:
    font = ImageFont.load_default(_TEXT_PX)
    for number, line in enumerate(lines):
        pen.text((place[0], place[1] + number * _LINE_PX), line, fill="black", font=font)
