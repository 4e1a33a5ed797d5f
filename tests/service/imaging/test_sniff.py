"""Formats are told by their bytes; the refusal says what was seen."""

from __future__ import annotations

import pytest

from service.errors import BadImageError, UnsupportedImageError
from service.imaging.sniff import sniff
from tests.service.imaging.pictures import encoded, photograph


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_knows_what_it_reads(image_format: str) -> None:
    data = encoded(photograph(8, 8), image_format)
    assert sniff(data) == sniff(memoryview(data)) == image_format.lower()


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (encoded(photograph(8, 8), "AVIF"), "AVIF"),
        (encoded(photograph(8, 8), "JPEG2000"), "JPEG 2000"),
        (encoded(photograph(8, 8), "ICO"), "ICO"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_names_what_it_does_not_read(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedImageError, match=f"looks like {name}; send JPEG"):
        sniff(data)


@pytest.mark.parametrize("data", [b"x", b"{}", b"\xff\xd8", b"RIFF\0\0\0\0WAVEfmt "])
def test_anything_else_is_no_image(data: bytes) -> None:
    with pytest.raises(BadImageError, match="not a JPEG, PNG"):
        sniff(data)


def test_nothing_is_called_empty() -> None:
    with pytest.raises(BadImageError, match="The image is empty"):
        sniff(b"")
