"""Pixels to JPEG and WebP, and numbers to npy; PNG has a file of its own."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image


def encode_jpeg(pixels: NDArray[np.uint8], *, quality: int = 90) -> bytes:
    """[H, W, 3] uint8 RGB."""
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality=quality, colorsubsampling="420"
    )
    return data


def encode_webp(pixels: NDArray[np.uint8], *, quality: int = 90) -> bytes:
    """[H, W, 3] uint8 RGB."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def encode_npy(values: NDArray[Any]) -> bytes:
    """NumPy's own file, of numbers alone."""
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
