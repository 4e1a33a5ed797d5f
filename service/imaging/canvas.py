"""What the drawings share: a page large enough to read, a font, smooth shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from service.imaging.palette import Colour, text_colour
from service.imaging.tags import Rect, place_tags

# Smaller pictures are enlarged to this, for text on them could not be read.
MIN_LONG_SIDE_PX = 480
_MAX_ENLARGEMENT = 16

_SMOOTH = 4  # shapes are drawn this many times larger, then averaged

ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Style:
    """Sizes that suit a page, in its pixels."""

    font_px: int
    line_px: int
    pad_px: int

    @classmethod
    def of(cls, width_px: int, height_px: int) -> Style:
        # The root of the area, tempered so that text fits on long thin pictures too.
        side = min(math.sqrt(width_px * height_px), 2.5 * min(width_px, height_px))
        font_px = max(13, round(side * 0.026))
        return cls(font_px=font_px, line_px=max(3, round(font_px / 6)), pad_px=round(font_px * 0.4))


def readable(image: NDArray[np.uint8]) -> tuple[Image.Image, float]:
    """The picture [H, W, 3] as a page to draw on, and how many times larger it became."""
    page = Image.fromarray(image)
    scale = min(MIN_LONG_SIDE_PX / max(page.size), _MAX_ENLARGEMENT)
    if scale <= 1:
        return page, 1.0
    size = max(1, round(page.width * scale)), max(1, round(page.height * scale))
    return page.resize(size, Image.Resampling.BICUBIC), scale


@lru_cache(maxsize=64)
def font(size_px: int) -> ImageFont.FreeTypeFont:
    """The scalable font that Pillow carries inside itself: no file and no network."""
    loaded = ImageFont.load_default(size_px)
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise RuntimeError("This Pillow was built without FreeType, so it cannot draw text.")
    return loaded


def shorten(text: str, font_px: int, width_px: float) -> str:
    """`text`, or as much of it as fits before an ellipsis, on one line."""
    text = " ".join(text.split())
    if text_width(text, font_px) <= width_px:
        return text
    face, low, high = font(font_px), 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if face.getlength(text[:middle].rstrip() + ELLIPSIS) <= width_px:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + ELLIPSIS


@dataclass(frozen=True, slots=True)
class Tag:
    """A name on a ground of its colour."""

    text: str
    colour: Colour
    style: Style

    @property
    def size_px(self) -> tuple[int, int]:
        font_px = self.style.font_px
        return round(text_width(self.text, font_px)) + 2 * self.style.pad_px, round(font_px * 1.5)


def draw_tags(page: Image.Image, tags: Sequence[Tag], boxes: Sequence[Rect]) -> None:
    """Each at its box. The first choose first, and lie above the others."""
    places = place_tags(boxes, [tag.size_px for tag in tags], page.size)
    for tag, place in reversed(list(zip(tags, places, strict=True))):
        fill_rounded(page, place, tag.style.line_px * 2, tag.colour)
        left, top, _, bottom = place
        ink = _inked(tag.text, tag.style.font_px, bottom - top)
        page.paste(text_colour(tag.colour), (left + tag.style.pad_px, top), ink)


# Names come again and again, and to form letters takes longer than all else that a tag does.


@lru_cache(maxsize=1024)
def text_width(text: str, font_px: int) -> float:
    return font(font_px).getlength(text)


@lru_cache(maxsize=256)
def _inked(text: str, font_px: int, height_px: int) -> Image.Image:
    """How much ink falls on each pixel of a line of text, in the middle of the height."""
    face = font(font_px)
    width_px = max(1, math.ceil(face.getlength(text)) + font_px)  # letters may lean out
    mask = Image.new("L", (width_px, height_px), 0)
    ImageDraw.Draw(mask).text((0, height_px / 2), text, fill=255, font=face, anchor="lm")
    return mask


def fill_rounded(
    page: Image.Image,
    rect: tuple[int, int, int, int],
    radius_px: int,
    colour: Colour,
    opacity: float = 1.0,
) -> None:
    """A filled rectangle with smooth corners."""
    left, top, right, bottom = rect
    if right <= left or bottom <= top:
        return
    mask = _rounded_mask(right - left, bottom - top, radius_px)
    if opacity < 1:
        mask = mask.point([round(level * opacity) for level in range(256)])
    page.paste(colour, (left, top), mask)


def tint(
    page: Image.Image, rect: tuple[int, int, int, int], colour: Colour, opacity: float
) -> None:
    """Mix `colour` into a rectangle, as far as it lies on the page."""
    left, top = max(0, rect[0]), max(0, rect[1])
    right, bottom = min(page.width, rect[2]), min(page.height, rect[3])
    if right <= left or bottom <= top:
        return
    seen = (left, top, right, bottom)
    if opacity >= 1:
        page.paste(colour, seen)
        return
    flat = Image.new("RGB", (right - left, bottom - top), colour)
    page.paste(Image.blend(page.crop(seen), flat, opacity), (left, top))


@lru_cache(maxsize=256)
def _rounded_mask(width_px: int, height_px: int, radius_px: int) -> Image.Image:
    radius_px = min(radius_px, width_px // 2, height_px // 2)
    mask = Image.new("L", (width_px, height_px), 255)
    if radius_px <= 0:
        return mask
    side = 2 * radius_px
    disc = Image.new("L", (side * _SMOOTH, side * _SMOOTH), 0)
    ImageDraw.Draw(disc).ellipse((0, 0, side * _SMOOTH - 1, side * _SMOOTH - 1), fill=255)
    disc = disc.resize((side, side), Image.Resampling.BOX)
    for x, y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        quarter = disc.crop(
            (x * radius_px, y * radius_px, (x + 1) * radius_px, (y + 1) * radius_px)
        )
        mask.paste(quarter, (x * (width_px - radius_px), y * (height_px - radius_px)))
    return mask
