"""Bytes to a model's input in one call, without a full-size picture where none is needed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.imaging.decode import ImageInfo, read_stored
from service.imaging.fit import fit_placed
from service.imaging.limits import ImageLimits
from service.imaging.placement import FitSpec, Placement, place


def load(
    data: bytes | memoryview,
    limits: ImageLimits,
    spec: FitSpec,
    out: NDArray[np.uint8] | None = None,
) -> tuple[NDArray[np.uint8], Placement, ImageInfo]:
    """Decode and fit: the input [H, W, 3] uint8, where the image lies in it, and what was sent.

    A JPEG is decoded at the smallest scale that serves `spec`, and what is turned upright is the
    small result. Without `out` the input may be read-only. Raises as `decode` does.
    """
    stored = read_stored(data, limits, lambda width, height: place(spec, width, height).needed_px)
    width_px, height_px = stored.upright_size_px
    placement = place(spec, width_px, height_px)
    pixels = fit_placed(
        stored.picture,
        placement,
        spec,
        scale=stored.scale,
        orientation=stored.orientation,
        out=out,
    )
    return pixels, placement, ImageInfo(width_px, height_px, stored.format)
