"""What only JPEG has: remarks that do no harm, endings that are missing, scans without end."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from service.errors import BadImageError
from service.imaging import ImageLimits, decode
from tests.service.imaging.pictures import encoded, photograph, with_orientation

LIMITS = ImageLimits()


@pytest.fixture
def data() -> bytes:
    return encoded(photograph(96, 64), "JPEG", quality=90)


def before_the_pixels(data: bytes, extra: bytes) -> bytes:
    at = data.index(b"\xff\xda")
    return data[:at] + extra + data[at:]


def test_stray_bytes_between_segments_do_no_harm(data: bytes) -> None:
    stray = before_the_pixels(data, b"\0\0\0")
    assert np.array_equal(decode(stray, LIMITS).pixels, decode(data, LIMITS).pixels)


def test_stray_bytes_do_not_hide_a_missing_end(data: bytes) -> None:
    stray = before_the_pixels(data, b"\0\0\0")
    with pytest.raises(BadImageError, match="Broken or truncated JPEG"):
        decode(stray[: len(stray) // 2], LIMITS)


def test_bytes_after_the_end_do_no_harm(data: bytes) -> None:
    assert np.array_equal(decode(data + bytes(999), LIMITS).pixels, decode(data, LIMITS).pixels)


def test_an_end_set_too_early_is_noticed(data: bytes) -> None:
    with pytest.raises(BadImageError, match="Broken or truncated JPEG"):
        decode(data[: len(data) // 2] + b"\xff\xd9", LIMITS)


def test_the_header_alone_is_not_an_image(data: bytes) -> None:
    with pytest.raises(BadImageError):
        decode(data[: data.index(b"\xff\xda")], LIMITS)


def test_a_progressive_file_with_endless_scans_is_refused() -> None:
    data = encoded(photograph(64, 64), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    with pytest.raises(BadImageError, match="more than 100 scans"):
        decode(data[:at] + data[at:-2] * 120 + data[-2:], LIMITS)


def test_a_broken_exif_block_leaves_the_image_as_it_is_stored(data: bytes) -> None:
    turned = with_orientation(photograph(96, 64), "JPEG", 6)
    assert decode(turned, LIMITS).width_px == 64
    broken = turned.replace(b"\x01\x12\x00\x03", b"\x01\x12\x00\x07")
    assert broken != turned and decode(broken, LIMITS).width_px == 96
    block = b"Exif\0\0MM\0*" + struct.pack(">I", 0xFFFFFF)
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    assert decode(data[:2] + segment + data[2:], LIMITS).width_px == 96


def test_adobe_inks_are_read_inverted() -> None:
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red = decode(encoded(inks, "JPEG", quality=100), LIMITS).pixels[8, 8]
    assert np.abs(red.astype(int) - (255, 0, 0)).max() <= 3


def test_a_subsampling_without_a_name_is_read_all_the_same() -> None:
    # 32 blocks of three equal planes, declared again as planes of 4×1, 2×1 and 2×1 blocks.
    grey = encoded(Image.new("RGB", (64, 32), (128, 128, 128)), "JPEG", keep_rgb=True)
    data = bytearray(grey)
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 7] = struct.pack(">H", 48)
    for component, factors in enumerate((0x41, 0x21, 0x21)):
        data[frame + 11 + 3 * component] = factors
    image = decode(bytes(data), LIMITS, at_least_px=(8, 8))
    assert image.pixels.shape == (48, 64, 3)
    assert np.abs(image.pixels.astype(int) - 128).max() <= 1
