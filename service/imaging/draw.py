"""Answers that a person can look at: boxes with name tags, and class scores below the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from service.imaging.canvas import (
    Style,
    Tag,
    draw_tags,
    fill_rounded,
    font,
    readable,
    shorten,
    text_width,
    tint,
)
from service.imaging.palette import Colour, mix
from service.imaging.tags import Rect

_PANEL: Colour = (22, 24, 29)
_TRACK: Colour = (46, 50, 59)
_BAR: Colour = (31, 119, 232)
_BRIGHT: Colour = (245, 247, 250)
_DIM: Colour = (168, 175, 187)
_SHADOW: Colour = (0, 0, 0)

_FILL_OPACITY = 0.13
_SHADOW_OPACITY = 0.4


def draw_boxes(
    image: NDArray[np.uint8],
    boxes_xyxy_px: ArrayLike,
    labels: Sequence[str],
    scores: Sequence[float] | None,
    colours: Sequence[Colour],
) -> NDArray[np.uint8]:
    """The picture [H, W, 3] with boxes [N, 4] on it, each with its label, score and colour.

    Tags of high scores choose their place first. A picture too small for text is enlarged.
    """
    page, scale = readable(image)
    style = Style.of(*page.size)
    boxes = [_on_page(box, scale, page.size) for box in np.asarray(boxes_xyxy_px).reshape(-1, 4)]
    # The large first, so that they cover no small one.
    for at in sorted(range(len(boxes)), key=lambda at: -_area(boxes[at])):
        _draw_box(page, boxes[at], colours[at], style)

    texts = _tag_texts(labels, scores, style.font_px, page.width - 2 * style.pad_px)
    order = list(range(len(boxes)))
    if scores is not None:
        order.sort(key=lambda at: -scores[at])
    tags = [Tag(texts[at], colours[at], style) for at in order]
    outer = [_grown(boxes[at], style.line_px // 2) for at in order]
    draw_tags(page, tags, outer)
    return np.asarray(page)


def _tag_texts(
    labels: Sequence[str],
    scores: Sequence[float] | None,
    font_px: int,
    room_px: float,
) -> list[str]:
    """Label and score; where there is no room, it is the label that is cut."""
    if scores is None:
        return [shorten(label, font_px, room_px) for label in labels]
    texts = []
    for label, score in zip(labels, scores, strict=True):
        number = f" {score:.0%}"
        texts.append(shorten(label, font_px, room_px - text_width(number, font_px)) + number)
    return texts


def draw_labels(image: NDArray[np.uint8], lines: Sequence[tuple[str, float]]) -> NDArray[np.uint8]:
    """The picture [H, W, 3] above a panel with one row a class: name, bar, score from 0 to 1."""
    picture, _ = readable(image)
    # On a strip of a picture the panel is what there is to read: it goes by the width.
    style = Style.of(picture.width, max(picture.height, picture.width // 4))
    face = font(style.font_px)
    row, pad = round(style.font_px * 1.9), round(style.font_px * 1.1)
    width = max(picture.width, style.font_px * 22)
    content = min(width - 2 * pad, style.font_px * 64)
    page = Image.new(
        "RGB", (width, picture.height + len(lines) * row + (2 * pad if lines else 0)), _PANEL
    )
    page.paste(picture, ((width - picture.width) // 2, 0))

    number = round(face.getlength("100.0%"))
    wanted = max(
        (text_width(" ".join(name.split()), style.font_px) for name, _ in lines), default=0.0
    )
    names = min(wanted, content * 0.45)
    bar_left, bar_right = round(pad + names + pad), pad + content - number - pad // 2
    half = max(2, round(style.font_px * 0.3))
    pen = ImageDraw.Draw(page)
    for index, (name, score) in enumerate(lines):
        middle = picture.height + pad + index * row + row // 2
        ink = _BRIGHT if index == 0 else _DIM
        share = min(1.0, max(0.0, score))
        number_text = f"{share:.1%}" if share >= 0.001 or share == 0 else "<0.1%"
        pen.text(
            (pad, middle), shorten(name, style.font_px, names), fill=ink, font=face, anchor="lm"
        )
        pen.text((pad + content, middle), number_text, fill=ink, font=face, anchor="rm")
        fill_rounded(page, (bar_left, middle - half, bar_right, middle + half), half, _TRACK)
        if share >= 0.001:
            filled = bar_left + max(2 * half, round((bar_right - bar_left) * share))
            colour = _BAR if index == 0 else mix(_BAR, _TRACK, 0.45)
            fill_rounded(page, (bar_left, middle - half, filled, middle + half), half, colour)
    return np.asarray(page)


def _draw_box(page: Image.Image, box: Rect, colour: Colour, style: Style) -> None:
    tint(page, box, colour, _FILL_OPACITY)
    # A shadow on both sides keeps the line visible on a ground of its own colour.
    hair = max(1, style.line_px // 3)
    grown = _grown(box, style.line_px // 2)
    _outline(page, _grown(grown, hair), style.line_px + 2 * hair, _SHADOW, _SHADOW_OPACITY)
    _outline(page, grown, style.line_px, colour, 1.0)


def _outline(page: Image.Image, rect: Rect, line_px: int, colour: Colour, opacity: float) -> None:
    left, top, right, bottom = rect
    line_px = min(line_px, (right - left) // 2, (bottom - top) // 2)
    tint(page, (left, top, right, top + line_px), colour, opacity)
    tint(page, (left, bottom - line_px, right, bottom), colour, opacity)
    tint(page, (left, top + line_px, left + line_px, bottom - line_px), colour, opacity)
    tint(page, (right - line_px, top + line_px, right, bottom - line_px), colour, opacity)


def _on_page(box: NDArray[np.floating], scale: float, size: tuple[int, int]) -> Rect:
    """To the pixels of the page, inside it and at least one pixel large."""
    left, right = sorted(_clamp(float(side) * scale, size[0]) for side in box[0::2])
    top, bottom = sorted(_clamp(float(side) * scale, size[1]) for side in box[1::2])
    left, top = min(left, size[0] - 1), min(top, size[1] - 1)
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _clamp(value: float, high: int) -> int:
    return round(min(max(value, 0.0), float(high)))


def _grown(rect: Rect, by: int) -> Rect:
    return rect[0] - by, rect[1] - by, rect[2] + by, rect[3] + by


def _area(rect: Rect) -> int:
    return (rect[2] - rect[0]) * (rect[3] - rect[1])
