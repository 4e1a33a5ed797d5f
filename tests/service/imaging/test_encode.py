"""What is encoded is read back: exactly from PNG, closely from JPEG."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from service.imaging import encode_jpeg, encode_png
from tests.service.imaging.pictures import photograph


@pytest.mark.parametrize("shape", [(7, 5), (7, 5, 3), (7, 5, 4), (1, 1, 3)])
def test_png_keeps_every_pixel(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert np.array_equal(np.asarray(image), pixels)


def test_png_keeps_sixteen_bits_and_views() -> None:
    pixels = np.arange(0, 60_000, 1_000, dtype=np.uint16).reshape(6, 10)[::-1, ::2]
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert np.array_equal(np.asarray(image), pixels)


def test_jpeg_is_close() -> None:
    pixels = np.asarray(photograph(200, 150))
    with Image.open(io.BytesIO(encode_jpeg(pixels))) as image:
        assert image.format == "JPEG"
        assert np.abs(np.asarray(image).astype(int) - pixels).mean() < 3
