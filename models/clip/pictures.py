"""Pictures of an evaluation that people look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

# Legend: K images shown, H W pixels.

_RIGHT, _WRONG = (20, 150, 60), (200, 200, 200)


class Retrieval(NamedTuple):
    """A text, the images nearest to it, and which of them is its own, if any is."""

    text: str
    images: Tensor  # uint8 [K, H, W, 3], the nearest first
    own: int | None


def draw_retrievals(retrievals: Sequence[Retrieval], path: Path) -> None:
    """One row a text: the text, then its nearest images from left to right, its own in green."""
    cell_px, gap_px, text_px = 128, 8, 24
    shown = max(len(each.images) for each in retrievals)
    row_px = text_px + cell_px + gap_px
    sheet = Image.new(
        "RGB", (gap_px + shown * (cell_px + gap_px), len(retrievals) * row_px), "white"
    )
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (text, images, own) in enumerate(retrievals):
        y = number * row_px
        place = "not among them" if own is None else f"its own is number {own + 1}"
        pen.text((gap_px, y + 3), f"{text}  ({place})", fill="black", font=font)
        for column, pixels in enumerate(images):
            x = gap_px + column * (cell_px + gap_px)
            frame = _RIGHT if column == own else _WRONG
            corner = (x + cell_px + 2, y + text_px + cell_px + 2)
            pen.rectangle(((x - 3, y + text_px - 3), corner), fill=frame)
            picture = Image.fromarray(pixels.numpy()).resize((cell_px, cell_px))
            sheet.paste(picture, (x, y + text_px))
    sheet.save(path)
