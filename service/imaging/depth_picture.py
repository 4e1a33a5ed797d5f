"""Depth as a picture: near is light, far is dark, and a bar below says what the colours mean.

H W pixels.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from service.imaging.canvas import Style, font
from service.imaging.colour_map import colour_shares
from service.imaging.palette import Colour

UNKNOWN: Final[Colour] = (58, 62, 70)
"""The colour of pixels without a depth."""

_PANEL: Final[Colour] = (22, 24, 29)
_INK: Final[Colour] = (245, 247, 250)
_LEAST_WIDTH_PX: Final = 240


def nearness(depth: NDArray[np.float32], near: float, far: float) -> NDArray[np.float32]:
    """1 at `near` to 0 at `far`, linear in the inverse of the depth, as disparity is."""
    span = max(1 / near - 1 / far, 1e-12)
    return ((1 / np.maximum(depth, 1e-12) - 1 / far) / span).astype(np.float32)


def draw_depth(depth: NDArray[np.float32], near: float, far: float, unit: str) -> NDArray[np.uint8]:
    """Depth [H, W], positive or NaN, as a picture [H + a bar, W, 3]; tiny ones are enlarged."""
    known = np.isfinite(depth)
    with np.errstate(invalid="ignore"):
        picture = colour_shares(np.nan_to_num(nearness(depth, near, far)))
    if not known.all():
        picture[~known] = UNKNOWN
    return np.concatenate([picture, _legend(picture.shape[1], near, far, unit)])


def _legend(width_px: int, near: float, far: float, unit: str) -> NDArray[np.uint8]:
    """A bar of the colours, with the depths at its ends and in its middle."""
    width = max(width_px, _LEAST_WIDTH_PX)
    style = Style.of(width, max(width // 2, 1))
    pad, bar = style.font_px, style.font_px
    page = Image.new("RGB", (width, round(bar + 2.2 * pad + style.font_px)), _PANEL)
    shares = np.broadcast_to(np.linspace(1, 0, width - 2 * pad), (bar, width - 2 * pad))
    page.paste(Image.fromarray(colour_shares(shares)), (pad, round(0.7 * pad)))
    middle = 2 / (1 / near + 1 / far)
    pen, face = ImageDraw.Draw(page), font(style.font_px)
    below = page.height - 0.6 * pad
    for x, anchor, value in (
        (pad, "ls", near),
        (width / 2, "ms", middle),
        (width - pad, "rs", far),
    ):
        pen.text((x, below), f"{value:.3g}{unit}", fill=_INK, font=face, anchor=anchor)
    if width != width_px:
        page = page.resize((width_px, max(1, round(page.height * width_px / width))))
    return np.asarray(page)
