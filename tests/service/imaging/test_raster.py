"""Headers that lie, and samples whose meaning nothing says."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from service.errors import BadImageError, ImageTooLargeError, UnsupportedImageError
from service.imaging import ImageLimits, decode
from tests.service.imaging.pictures import encoded, photograph, with_orientation

LIMITS = ImageLimits()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bombs() -> dict[str, bytes]:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    png = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", pixels)
    gif = bytearray(encoded(photograph(8, 8), "GIF"))
    gif[6:10] = struct.pack("<HH", 60_000, 60_000)
    frame = bytearray(encoded(Image.new("P", (8, 8)), "GIF"))  # the frame is larger than its screen
    at = frame.index(b"\x2c", 13)
    frame[at + 5 : at + 9] = struct.pack("<HH", 60_000, 60_000)
    bmp = bytearray(encoded(photograph(8, 8), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    webp = bytearray(with_orientation(photograph(8, 8), "WEBP", 1))
    webp[24:30] = (15_999).to_bytes(3, "little") * 2
    tiff = encoded(photograph(8, 8), "TIFF")
    for tag in (256, 257):
        entry = struct.pack("<HHI", tag, 4, 1)
        tiff = tiff.replace(entry + struct.pack("<I", 8), entry + struct.pack("<I", 60_000))
        entry = struct.pack("<HHI", tag, 3, 1)
        tiff = tiff.replace(entry + struct.pack("<I", 8), entry + struct.pack("<I", 60_000))
    jpeg = bytearray(encoded(photograph(8, 8), "JPEG"))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = struct.pack(">HH", 60_000, 60_000)
    return {
        "png": png + png_chunk(b"IEND", b""),
        "gif": bytes(gif),
        "gif frame": bytes(frame),
        "bmp": bytes(bmp),
        "webp": bytes(webp),
        "tiff": tiff,
        "jpeg": bytes(jpeg),
    }


@pytest.mark.parametrize("name", list(bombs()))
def test_a_bomb_is_refused_before_memory_is_taken(name: str) -> None:
    data = bombs()[name]
    tracemalloc.start()
    try:
        with pytest.raises(ImageTooLargeError):
            decode(data, LIMITS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


def test_samples_of_32_bits_are_refused() -> None:
    image = Image.fromarray(np.zeros((4, 4), np.float32))
    with pytest.raises(UnsupportedImageError, match="32-bit samples"):
        decode(encoded(image, "TIFF"), LIMITS)


@pytest.mark.parametrize("kind", ["VP8 ", "VP8L", "VP8X"])
def test_reads_the_size_in_every_kind_of_webp(kind: str) -> None:
    picture = photograph(37, 23)
    data = {
        "VP8 ": encoded(picture, "WEBP"),
        "VP8L": encoded(picture, "WEBP", lossless=True),
        "VP8X": with_orientation(picture, "WEBP", 1),
    }[kind]
    assert data[12:16] == kind.encode()
    assert decode(data, ImageLimits(max_pixels=37 * 23)).pixels.shape == (23, 37, 3)
    with pytest.raises(ImageTooLargeError, match="37×23"):
        decode(data, ImageLimits(max_pixels=37 * 23 - 1))
    with pytest.raises(BadImageError):
        decode(data[:20], LIMITS)


@pytest.mark.filterwarnings("ignore:Metadata Warning")
def test_odd_metadata_does_not_refuse_an_image() -> None:
    image = photograph(8, 8)
    data = encoded(image, "TIFF").replace(
        struct.pack("<HHI", 284, 3, 1), struct.pack("<HHI", 284, 3, 2)
    )
    assert np.array_equal(decode(data, LIMITS).pixels, np.asarray(image))
