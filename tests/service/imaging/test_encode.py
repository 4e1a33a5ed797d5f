"""What is encoded is read back."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from service.imaging import encode_jpeg
from tests.service.imaging.pictures import photograph


def test_jpeg_is_close() -> None:
    pixels = np.asarray(photograph(200, 150))
    with Image.open(io.BytesIO(encode_jpeg(pixels))) as image:
        assert image.format == "JPEG"
        assert np.abs(np.asarray(image).astype(int) - pixels).mean() < 3
