"""The format of an image by its first bytes; what a client claims it to be is not asked."""

from __future__ import annotations

from service.errors import BadImageError, UnsupportedImageError
from service.imaging.limits import ImageFormat

_READ: tuple[tuple[bytes, ImageFormat], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)

_KNOWN_BUT_NOT_READ: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftyp", "video"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%PDF", "PDF"),
    (0, b"<svg", "SVG"),
    (0, b"\0\0\x01\0", "ICO"),
)


def sniff(data: bytes | memoryview) -> ImageFormat:
    if not len(data):
        raise BadImageError("The image is empty.")
    head = bytes(data[:32])
    for magic, name in _READ:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    for at, magic, other in _KNOWN_BUT_NOT_READ:
        if head.startswith(magic, at):
            raise UnsupportedImageError(
                f"This looks like {other}; send JPEG, PNG, WebP, GIF, BMP or TIFF."
            )
    raise BadImageError("These bytes are not a JPEG, PNG, WebP, GIF, BMP or TIFF image.")
