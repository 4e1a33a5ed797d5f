"""Pictures made on the fly, with enough structure that a flip or a shift is seen."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@cache
def photograph(width: int, height: int) -> Image.Image:
    """Smooth light, hard edges and a little grain: what cameras and codecs are used to."""
    rng = np.random.default_rng(7)
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    channels = [255 * x, 255 * (1 - y), 127 + 100 * np.sin(9 * x + 5 * y * y)]
    pixels = np.stack(channels, axis=-1) + rng.normal(0, 2, (height, width, 3))
    pixels[(x - 0.3) ** 2 + (y - 0.6) ** 2 < 0.03] = (220, 40, 30)
    pixels[(x > 0.6) & (x < 0.9) & (y > 0.1) & (y < 0.35)] = (20, 60, 200)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def corners() -> NDArray[np.uint8]:
    """24×16 with a different colour in each quarter, large enough for chroma subsampling."""
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :12] = (250, 10, 10)
    pixels[:8, 12:] = (10, 250, 10)
    pixels[8:, :12] = (10, 10, 250)
    pixels[8:, 12:] = (240, 240, 20)
    return pixels


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def with_orientation(image: Image.Image, image_format: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, image_format, exif=exif, quality=95)
