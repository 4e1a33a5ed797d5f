"""Every format and mode against Pillow's own full reading; every orientation by its corners."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from service.errors import BadImageError, ImageTooLargeError, UnsupportedImageError
from service.imaging import ImageLimits, decode
from tests.service.imaging.pictures import corners, encoded, photograph, with_orientation

LIMITS = ImageLimits()


def as_pillow_reads(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize(
    ("mode", "image_format"),
    [
        *((mode, "PNG") for mode in ("1", "L", "P", "RGB")),
        *((mode, "TIFF") for mode in ("1", "L", "P", "RGB", "CMYK", "YCbCr")),
        *((mode, "BMP") for mode in ("1", "L", "P", "RGB")),
        *((mode, "GIF") for mode in ("1", "L", "P", "RGB")),
        ("RGB", "WEBP"),
        *((mode, "JPEG") for mode in ("L", "RGB", "CMYK")),
    ],
)
def test_reads_what_pillow_reads(mode: str, image_format: str) -> None:
    data = encoded(photograph(67, 41).convert(mode), image_format)
    image = decode(data, LIMITS)
    assert (image.width_px, image.height_px, image.format) == (67, 41, image_format.lower())
    assert image.pixels.dtype == np.uint8 and image.pixels.flags.c_contiguous
    # Both round the product of light and black; Pillow's CMYK conversion rounds otherwise.
    tolerance = 2 if mode == "CMYK" else 0
    assert np.abs(image.pixels.astype(int) - as_pillow_reads(data)).max() <= tolerance


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("progressive", [False, True])
def test_reads_every_kind_of_jpeg(subsampling: str, progressive: bool) -> None:
    data = encoded(
        photograph(131, 77), "JPEG", subsampling=subsampling, progressive=progressive, quality=90
    )
    assert np.array_equal(decode(data, LIMITS).pixels, as_pillow_reads(data))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
def test_reads_compressed_tiff(compression: str) -> None:
    data = encoded(photograph(64, 40), "TIFF", compression=compression)
    assert np.array_equal(decode(data, LIMITS).pixels, as_pillow_reads(data))


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_scales_sixteen_bits_to_eight(image_format: str) -> None:
    wide = np.linspace(0, 65535, 64 * 48).round().astype(np.uint16).reshape(48, 64)
    pixels = decode(encoded(Image.fromarray(wide), image_format), LIMITS).pixels
    assert np.array_equal(pixels[..., 0], np.round(wide / 257).astype(np.uint8))
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


@pytest.mark.parametrize("image_format", ["PNG", "WEBP", "TIFF"])
def test_lays_transparency_on_white(image_format: str) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4] = (255, 0, 0, 255)
    rgba[4:] = (0, 0, 0, 0)
    rgba[:, 4:, 3] = 128
    options = {"lossless": True, "exact": True} if image_format == "WEBP" else {}
    pixels = decode(encoded(Image.fromarray(rgba), image_format, **options), LIMITS).pixels
    assert pixels[0, 0].tolist() == [255, 0, 0]
    assert pixels[7, 0].tolist() == [255, 255, 255]
    assert np.abs(pixels[0, 7].astype(int) - (255, 127, 127)).max() <= 1
    assert np.abs(pixels[7, 7].astype(int) - 127).max() <= 1


@pytest.mark.parametrize("image_format", ["PNG", "GIF"])
def test_lays_a_transparent_palette_entry_on_white(image_format: str) -> None:
    image = Image.new("P", (4, 2), 1)
    image.putpalette([0, 0, 0, 9, 80, 200])
    image.putpixel((0, 0), 0)
    pixels = decode(encoded(image, image_format, transparency=0), LIMITS).pixels
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 3].tolist() == [9, 80, 200]


def test_lays_a_transparent_colour_on_white() -> None:
    image = Image.new("RGB", (3, 1), (1, 2, 3))
    image.putpixel((1, 0), (4, 5, 6))
    pixels = decode(encoded(image, "PNG", transparency=(1, 2, 3)), LIMITS).pixels
    assert pixels[0].tolist() == [[255] * 3, [4, 5, 6], [255] * 3]


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_takes_the_first_of_many_frames(image_format: str) -> None:
    frames = [Image.new("RGB", (16, 12), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = encoded(frames[0], image_format, save_all=True, append_images=frames[1:], **options)
    assert decode(data, LIMITS).pixels[5, 5].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_turns_upright(image_format: str, orientation: int) -> None:
    data = with_orientation(Image.fromarray(corners()), image_format, orientation)
    image = decode(data, LIMITS)
    assert (image.width_px, image.height_px) == ((24, 16) if orientation < 5 else (16, 24))
    assert image.pixels.shape == (image.height_px, image.width_px, 3)
    expected = as_pillow_reads(data)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        seen = image.pixels[row, column].astype(int)
        assert np.abs(seen - expected[row, column]).max() <= 2
    assert np.abs(image.pixels.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("at_least_px", [(1, 1), (100, 80), (101, 1), (1, 160), (10_000, 10_000)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_never_scales_below_what_is_asked(at_least_px: tuple[int, int], orientation: int) -> None:
    data = with_orientation(photograph(400, 312), "JPEG", orientation)
    whole = decode(data, LIMITS)
    scaled = decode(data, LIMITS, at_least_px=at_least_px)
    assert (scaled.width_px, scaled.height_px) == (whole.width_px, whole.height_px)
    height, width = scaled.pixels.shape[:2]
    assert width >= min(at_least_px[0], whole.width_px)
    assert height >= min(at_least_px[1], whole.height_px)
    reference = Image.fromarray(whole.pixels).resize((width, height), Image.Resampling.BOX)
    assert np.abs(scaled.pixels.astype(int) - np.asarray(reference)).mean() < 2.5


def test_a_memoryview_is_as_good_as_bytes() -> None:
    for image_format in ("JPEG", "PNG"):
        data = with_orientation(photograph(40, 30), image_format, 8)
        assert np.array_equal(decode(memoryview(data), LIMITS).pixels, decode(data, LIMITS).pixels)


def test_bytes_are_counted_first() -> None:
    with pytest.raises(ImageTooLargeError, match="11 bytes; at most 10"):
        decode(b"not a image", ImageLimits(max_bytes=10))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_pixels_and_formats_are_limited(image_format: str) -> None:
    data = encoded(photograph(50, 40), image_format)
    assert decode(data, ImageLimits(max_pixels=2000)).width_px == 50
    with pytest.raises(ImageTooLargeError, match="50×40, 2000 pixels; at most 1999"):
        decode(data, ImageLimits(max_pixels=1999))
    others = LIMITS.formats - {image_format.lower()}
    with pytest.raises(UnsupportedImageError, match="not accepted here, only"):
        decode(data, ImageLimits(formats=frozenset(others)))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_cut_image_is_refused_or_whole(image_format: str) -> None:
    data = encoded(photograph(90, 70), image_format)
    whole = decode(data, LIMITS).pixels
    cuts = sorted(
        {*range(0, len(data), max(1, len(data) // 60)), *range(len(data) - 12, len(data))}
    )
    for cut in cuts:
        try:
            seen = decode(data[:cut], LIMITS).pixels
        except BadImageError:
            continue
        assert np.array_equal(seen, whole), f"half an image from {cut} of {len(data)} bytes"


@settings(deadline=None)
@given(
    image_format=st.sampled_from(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    near_the_start=st.booleans(),
)
def test_a_mutated_image_raises_only_our_errors(
    image_format: str, changes: list[tuple[float, int]], near_the_start: bool
) -> None:
    data = bytearray(encoded(photograph(30, 20), image_format))
    span = min(len(data), 200) if near_the_start else len(data)
    for place, value in changes:
        data[int(place * (span - 1))] = value
    try:
        image = decode(bytes(data), ImageLimits(max_pixels=1_000_000))
    except (BadImageError, ImageTooLargeError, UnsupportedImageError):
        return
    assert image.pixels.shape == (image.height_px, image.width_px, 3)


@settings(deadline=None)
@given(
    head=st.sampled_from(
        [
            *(b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*"),
            *(b"RIFF\x40\0\0\0WEBPVP8" + kind for kind in (b" ", b"X", b"L")),
        ]
    ),
    rest=st.binary(max_size=300),
)
def test_random_bytes_raise_only_our_errors(head: bytes, rest: bytes) -> None:
    with pytest.raises((BadImageError, ImageTooLargeError, UnsupportedImageError)):
        decode(head + rest, ImageLimits(max_pixels=1_000_000))
