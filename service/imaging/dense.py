"""Maps with a number for every pixel of a model's input, brought back to the image as sent.

h w pixels of the model's input, H W of the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.imaging.placement import Placement

Floats = NDArray[np.float32]


def seen_part(values: Floats, placement: Placement) -> Floats:
    """The part [h', w'] of a map [h, w] that shows the image: a letterbox without its margins."""
    left, top, right, bottom = placement.input_rect_px
    return values[top:bottom, left:right]


def spread(values: Floats, placement: Placement, size_px: tuple[int, int] | None = None) -> Floats:
    """A map [h, w] as a map of the image [H, W], bilinear; NaN where no model looked.

    `size_px` (width, height) asks for the map of the image at that size instead. Where the image
    is the smaller of the two, what falls into a pixel is averaged. Margins are not mixed in.
    """
    width, height = size_px or (placement.image_width_px, placement.image_height_px)
    part = np.ascontiguousarray(seen_part(values, placement))  # [h', w']
    across = width / placement.image_width_px
    down = height / placement.image_height_px
    left, top, right, bottom = placement.image_rect_px
    (x1, x2), (from_x, to_x) = _span(left * across, right * across, part.shape[1])
    (y1, y2), (from_y, to_y) = _span(top * down, bottom * down, part.shape[0])
    box = (from_x, from_y, to_x, to_y)
    if min(from_x, from_y) < 0 or to_x > part.shape[1] or to_y > part.shape[0]:
        # A crop may begin within a pixel: beyond its edge the map goes on as it ended.
        part = np.pad(part, 1, mode="edge")
        box = (from_x + 1, from_y + 1, to_x + 1, to_y + 1)
    resized = Image.fromarray(part).resize((x2 - x1, y2 - y1), Image.Resampling.BILINEAR, box=box)
    if (x1, y1, x2, y2) == (0, 0, width, height):
        return np.asarray(resized)
    whole = np.full((height, width), np.nan, np.float32)
    whole[y1:y2, x1:x2] = np.asarray(resized)
    return whole


def percentiles(ordered: Floats, percents: Sequence[float]) -> list[float]:
    """numpy's, of values [N] in order: to put them there costs less than to ask for each."""
    found = []
    for percent in percents:
        place, rest = divmod(percent / 100 * (ordered.size - 1), 1.0)
        value = float(ordered[int(place)])
        found.append(value + rest * (float(ordered[int(place) + 1]) - value) if rest else value)
    return found


def _span(low: float, high: float, cells: int) -> tuple[tuple[int, int], tuple[float, float]]:
    """The pixels whose middles lie between `low` and `high`, and where they lie on the cells."""
    first = math.ceil(low - 0.5 - 1e-6)
    last = max(first + 1, math.floor(high - 0.5 + 1e-6) + 1)
    per_px = cells / (high - low)
    start, stop = (first - low) * per_px, (last - low) * per_px
    return (first, last), (max(start, -1.0), min(stop, cells + 1.0))
