"""The eight orientations against Pillow's, and EXIF blocks that are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from service.imaging.orientation import exif_orientation, upright


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_as_pillow_does(orientation: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(upright(pixels, orientation), expected)


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("orientation", [0, 1, 5, 8, 9])
def test_reads_both_byte_orders(endian: str, orientation: int) -> None:
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F] = "A camera"
    exif[0x0112] = orientation
    assert exif_orientation(exif.tobytes()) == (orientation if 1 <= orientation <= 8 else 1)


@settings(deadline=None)
@given(st.sampled_from([b"", b"II*\0", b"MM\0*", b"Exif\0\0II*\0\x08\0\0\0"]), st.binary())
def test_nonsense_means_upright_or_a_valid_turn(head: bytes, rest: bytes) -> None:
    assert 1 <= exif_orientation(head + rest) <= 8
