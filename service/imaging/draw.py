"""Answers that a person can look at: boxes with name tags, and class scores below the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

from service.imaging.canvas import Style, fill_rounded, font, readable, shorten
from service.imaging.palette import Colour, mix, text_colour
from service.imaging.tags import Rect, place_tags

_PANEL: Colour = (22, 24, 29)
_TRACK: Colour = (46, 50, 59)
_BAR: Colour = (31, 119, 232)
_BRIGHT: Colour = (245, 247, 250)
_DIM: Colour = (168, 175, 187)
_SHADE: Colour = (0, 0, 0)

_FILL_OPACITY = 0.13


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
    confidence = [1.0] * len(boxes) if scores is None else [float(score) for score in scores]
    texts = (
        list(labels)
        if scores is None
        else [f"{label} {score:.0%}" for label, score in zip(labels, confidence, strict=True)]
    )

    # The large first, so that they cover no small one.
    for at in sorted(range(len(boxes)), key=lambda at: -_area(boxes[at])):
        _draw_box(page, boxes[at], colours[at], style)

    face = font(style.font_px)
    room = page.width - 2 * style.pad_px
    texts = [shorten(text, face, room) for text in texts]
    order = sorted(range(len(boxes)), key=lambda at: -confidence[at])
    height = round(style.font_px * 1.5)
    sizes = [(round(face.getlength(texts[at])) + 2 * style.pad_px, height) for at in order]
    outer = [_grown(boxes[at], style.line_px // 2) for at in order]
    tags = place_tags(outer, sizes, page.size)
    pen = ImageDraw.Draw(page)
    for at, tag in reversed(list(zip(order, tags, strict=True))):
        fill_rounded(page, tag, style.line_px * 2, colours[at])
        pen.text(
            (tag[0] + style.pad_px, (tag[1] + tag[3]) / 2),
            texts[at],
            fill=text_colour(colours[at]),
            font=face,
            anchor="lm",
        )
    return np.asarray(page)


def draw_labels(image: NDArray[np.uint8], lines: Sequence[tuple[str, float]]) -> NDArray[np.uint8]:
    """The picture [H, W, 3] above a panel with one row a class: name, bar, score from 0 to 1."""
    picture, _ = readable(image)
    style = Style.of(*picture.size)
    face = font(style.font_px)
    row, pad = round(style.font_px * 1.9), round(style.font_px * 1.1)
    width = max(picture.width, style.font_px * 22)
    content = min(width - 2 * pad, style.font_px * 56)
    page = Image.new(
        "RGB", (width, picture.height + len(lines) * row + (2 * pad if lines else 0)), _PANEL
    )
    page.paste(picture, ((width - picture.width) // 2, 0))

    number = round(face.getlength("100.0 %"))
    wanted = max((face.getlength(" ".join(name.split())) for name, _ in lines), default=0.0)
    names = min(wanted, content * 0.45)
    bar_left, bar_right = round(pad + names + pad), pad + content - number - pad // 2
    pen = ImageDraw.Draw(page)
    for index, (name, score) in enumerate(lines):
        middle = picture.height + pad + index * row + row // 2
        ink = _BRIGHT if index == 0 else _DIM
        pen.text((pad, middle), shorten(name, face, names), fill=ink, font=face, anchor="lm")
        pen.text((pad + content, middle), f"{score:.1%}", fill=ink, font=face, anchor="rm")
        half = max(2, round(style.font_px * 0.3))
        share = min(1.0, max(0.0, score))
        filled = bar_left + max(2 * half, round((bar_right - bar_left) * share))
        colour = _BAR if index == 0 else mix(_BAR, _TRACK, 0.45)
        fill_rounded(page, (bar_left, middle - half, bar_right, middle + half), half, _TRACK)
        fill_rounded(page, (bar_left, middle - half, filled, middle + half), half, colour)
    return np.asarray(page)


def _draw_box(page: Image.Image, box: Rect, colour: Colour, style: Style) -> None:
    left, top, right, bottom = box
    page.paste(
        Image.blend(
            page.crop(box), Image.new("RGB", (right - left, bottom - top), colour), _FILL_OPACITY
        ),
        (left, top),
    )
    # A dark hairline on both sides keeps the line visible on a ground of its own colour.
    hair = max(1, style.line_px // 3)
    grown = _grown(box, style.line_px // 2)
    _outline(page, _grown(grown, hair), style.line_px + 2 * hair, mix(colour, _SHADE, 0.65))
    _outline(page, grown, style.line_px, colour)


def _outline(page: Image.Image, rect: Rect, line_px: int, colour: Colour) -> None:
    left, top, right, bottom = rect
    ImageDraw.Draw(page).rectangle(
        (left, top, right - 1, bottom - 1), outline=colour, width=line_px
    )


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
