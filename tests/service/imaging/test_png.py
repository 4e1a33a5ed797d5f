"""PNG files read back, by Pillow and by OpenCV."""

from __future__ import annotations

import io

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from service.imaging import encode_png
from tests.service.imaging.pictures import photograph


def by_opencv(data: bytes) -> npt.NDArray[np.generic]:
    """Its pixels run from blue to red."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    if pixels.ndim == 3:
        pixels[..., :3] = pixels[..., 2::-1].copy()
    return pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(7, 5), (1, 1), (300, 200)])
def test_one_number_a_pixel_is_kept(shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    high = np.iinfo(dtype).max  # type: ignore[type-var]
    pixels = np.random.default_rng(3).integers(0, high, shape, dtype, endpoint=True)
    data = encode_png(pixels)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), pixels)
    assert np.array_equal(by_opencv(data), pixels)


@pytest.mark.parametrize("shape", [(7, 5, 3), (7, 5, 4), (1, 1, 3), (1, 9, 4), (301, 200, 3)])
def test_colours_are_kept(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    data = encode_png(pixels)
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(np.asarray(image), pixels)
    assert np.array_equal(by_opencv(data), pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2"])
def test_any_view_can_be_encoded(dtype: npt.DTypeLike) -> None:
    pixels = np.arange(0, 240, 4, dtype=dtype).reshape(6, 10)[::-1, ::2]
    with Image.open(io.BytesIO(encode_png(pixels))) as image:
        assert np.array_equal(np.asarray(image), pixels)


def test_a_picture_becomes_smaller() -> None:
    pixels = np.asarray(photograph(400, 300))
    assert len(encode_png(pixels)) < 0.7 * pixels.nbytes


def test_texts_of_any_language_are_read_back() -> None:
    texts = {"Software": "Panoptes", "Title": "Äpfel\nund mehr", "Description": "リンゴ – 3 ×"}
    data = encode_png(np.zeros((2, 2), np.uint8), texts=texts)
    with Image.open(io.BytesIO(data)) as image:
        assert isinstance(image, PngImageFile)
        assert image.text == texts
