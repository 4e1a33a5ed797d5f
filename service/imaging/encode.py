"""Pixels to PNG, JPEG, WebP and npy bytes, at settings that favour speed over the last byte."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

_SILENT: Mapping[str, str] = MappingProxyType({})


def encode_png(pixels: NDArray[Any], *, texts: Mapping[str, str] = _SILENT) -> bytes:
    """[H, W] uint8 or uint16, [H, W, 3] or [H, W, 4] uint8. Lossless; `texts` are tEXt."""
    buffer = io.BytesIO()
    said = PngInfo()
    for key, text in texts.items():
        said.add_text(key, text)
    # Runs alone: on photographs faster and smaller than the first level of a full search, and
    # a map of regions is hardly anything but runs.
    Image.fromarray(np.ascontiguousarray(pixels)).save(
        buffer, "PNG", compress_level=1, compress_type=zlib.Z_RLE, pnginfo=said
    )
    return buffer.getvalue()


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
