"""Pixels to a model's input: one resize of the part that is seen, in the place where it belongs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.imaging.orientation import swaps_sides, upright
from service.imaging.placement import FitSpec, Interpolation, Placement, Rect, place

_FILTERS: dict[Interpolation, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}

# Pillow may first average whole blocks, down to no less than this many times the size: large images
# are up to five times faster and no pixel moves by more than 5. The box filter gains little and
# loses its edges.
_REDUCING_GAP = {Image.Resampling.BILINEAR: 2.0, Image.Resampling.BICUBIC: 2.0}


def fit(
    image: NDArray[np.uint8], spec: FitSpec, out: NDArray[np.uint8] | None = None
) -> tuple[NDArray[np.uint8], Placement]:
    """Fit upright RGB pixels [h, w, 3] uint8 to the input [H, W, 3] uint8 that `spec` describes.

    With `out` [H, W, 3], a row of a batch for instance, the pixels are written there. Without it
    the answer may be read-only.
    """
    height_px, width_px = image.shape[:2]
    placement = place(spec, width_px, height_px)
    return fit_placed(image, placement, spec, out=out), placement


def fit_placed(
    picture: NDArray[np.uint8] | Image.Image,
    placement: Placement,
    spec: FitSpec,
    *,
    scale: float = 1.0,
    orientation: int = 1,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """As `fit`, of a picture that has `scale` times the sides and is not yet turned upright."""
    shape = (placement.input_height_px, placement.input_width_px, 3)
    if out is not None and out.shape != shape:
        raise ValueError(f"out has the shape {list(out.shape)}, not {list(shape)}")
    left, top, right, bottom = placement.input_rect_px
    seen = _resize(
        picture,
        _stored_rect(placement.image_rect_px, scale, orientation),
        (bottom - top, right - left) if swaps_sides(orientation) else (right - left, bottom - top),
        _FILTERS[spec.interpolation],
    )
    seen = upright(seen, orientation)  # [bottom - top, right - left, 3]
    if seen.shape == shape and out is None:
        return np.ascontiguousarray(seen)
    if out is None:
        out = np.empty(shape, np.uint8)
    if seen.shape != shape:
        out[...] = spec.pad_value
    out[top:bottom, left:right] = seen
    return out


def _stored_rect(rect: Rect, scale: float, orientation: int) -> Rect:
    """A rectangle on the upright image, on the stored pixels. It is centred, so a flip keeps it."""
    left, top, right, bottom = (side * scale for side in rect)
    return (top, left, bottom, right) if swaps_sides(orientation) else (left, top, right, bottom)


def _resize(
    picture: NDArray[np.uint8] | Image.Image,
    rect: Rect,
    size: tuple[int, int],
    resample: Image.Resampling,
) -> NDArray[np.uint8]:
    source = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    if source.size == size and list(rect) == [0, 0, *size]:
        return np.asarray(picture)
    gap = _REDUCING_GAP.get(resample)
    return np.asarray(source.resize(size, resample, box=rect, reducing_gap=gap))
