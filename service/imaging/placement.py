"""Where an image lies in a model's input, and how coordinates travel between the two.

An image is placed by two rectangles: the part of the image that is seen, and the part of the input
that it fills. `stretch` and `crop` fill all of the input; `letterbox` sees all of the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Interpolation = Literal["bilinear", "bicubic", "box"]
Rect = tuple[float, float, float, float]  # left, top, right, bottom


class FitSpec(Protocol):
    """How an image is brought to the size that a graph takes; a manifest's `fit` is one."""

    @property
    def mode(self) -> Literal["stretch", "crop", "letterbox"]: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def interpolation(self) -> Interpolation: ...
    @property
    def crop_fraction(self) -> float: ...
    @property
    def pad_value(self) -> tuple[int, int, int]: ...


@dataclass(frozen=True, slots=True)
class Placement:
    """`image_rect_px` of the image as sent is shown in `input_rect_px` of the model's input."""

    image_width_px: int
    image_height_px: int
    input_width_px: int
    input_height_px: int
    image_rect_px: Rect
    input_rect_px: tuple[int, int, int, int]

    def to_input(self, boxes_xyxy_px: ArrayLike) -> NDArray[Any]:
        """Boxes or points [..., 2k] from the image as sent to the model's input."""
        return _map(boxes_xyxy_px, self.image_rect_px, self.input_rect_px)

    def to_image(self, boxes_xyxy_px: ArrayLike, *, clip: bool = False) -> NDArray[Any]:
        """Boxes or points [..., 2k] from the model's input to the image as sent."""
        mapped = _map(boxes_xyxy_px, self.input_rect_px, self.image_rect_px)
        if clip:
            pairs = mapped.reshape(-1, 2)
            np.minimum(pairs, (self.image_width_px, self.image_height_px), out=pairs)
            np.maximum(pairs, 0, out=pairs)
        return mapped

    @property
    def needed_px(self) -> tuple[int, int]:
        """The smallest (width, height) of the whole image that loses nothing in this placement."""
        left, top, right, bottom = self.image_rect_px
        fill_left, fill_top, fill_right, fill_bottom = self.input_rect_px
        width = self.image_width_px * (fill_right - fill_left) / (right - left)
        height = self.image_height_px * (fill_bottom - fill_top) / (bottom - top)
        return math.ceil(width - 1e-6), math.ceil(height - 1e-6)


def place(spec: FitSpec, image_width_px: int, image_height_px: int) -> Placement:
    """
    stretch    the whole image fills the input; its aspect changes
    crop       the shorter side is brought to size / crop_fraction, and the centre is kept
    letterbox  the whole image keeps its aspect; the rest is `pad_value`, evenly on both sides
    """
    image_rect: Rect = (0.0, 0.0, float(image_width_px), float(image_height_px))
    input_rect = (0, 0, spec.width, spec.height)
    across, down = spec.width / image_width_px, spec.height / image_height_px
    if spec.mode == "crop":
        scale = max(across, down) / spec.crop_fraction
        half_width = min(spec.width / scale, image_width_px) / 2
        half_height = min(spec.height / scale, image_height_px) / 2
        x, y = image_width_px / 2, image_height_px / 2
        image_rect = (x - half_width, y - half_height, x + half_width, y + half_height)
    elif spec.mode == "letterbox":
        scale = min(across, down)
        width = min(spec.width, max(1, round(image_width_px * scale)))
        height = min(spec.height, max(1, round(image_height_px * scale)))
        left, top = (spec.width - width) // 2, (spec.height - height) // 2
        input_rect = (left, top, left + width, top + height)
    return Placement(
        image_width_px, image_height_px, spec.width, spec.height, image_rect, input_rect
    )


def _map(coordinates: ArrayLike, source: Rect, target: Rect) -> NDArray[Any]:
    array = np.asarray(coordinates)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    across = (target[2] - target[0]) / (source[2] - source[0])
    down = (target[3] - target[1]) / (source[3] - source[1])
    pairs = array.reshape(-1, 2)  # x, y
    mapped = np.asarray((pairs - source[:2]) * (across, down) + target[:2], array.dtype)
    return mapped.reshape(array.shape)
