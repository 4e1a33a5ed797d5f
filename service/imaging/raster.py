"""PNG, WebP, GIF, BMP and TIFF to RGB through Pillow."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from service.errors import BadImageError, ImageTooLargeError, PanoptesError, UnsupportedImageError
from service.imaging.limits import ImageFormat, ImageLimits
from service.imaging.orientation import exif_orientation
from service.imaging.stored import StoredImage

# Pillow remarks on odd metadata, once for each wording: a client could fill the log, and the table
# in which Python remembers them. What is wrong with pixels is an error, and sizes are checked here.
# `warnings.catch_warnings` would do this for one call, but threads share it.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

# Opened by class rather than by Image.open, which would try others and warn about sizes.
_OPENERS: dict[ImageFormat, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "png": PngImagePlugin.PngImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
}

_WHITE = (255, 255, 255)


def decode_raster(
    data: bytes | memoryview, image_format: ImageFormat, limits: ImageLimits
) -> StoredImage:
    """The first frame or page. Transparent pixels are laid on white."""
    try:
        if image_format == "webp":  # Pillow's reader allocates the canvas as it opens
            limits.check_pixels(*_webp_size_px(data))
        picture = _OPENERS[image_format](io.BytesIO(data))
        limits.check_pixels(*picture.size)
        picture.load()
        rgb = _to_rgb(picture)
        exif = picture.info.get("exif")
    except PanoptesError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"The {image_format.upper()} has too many pixels.") from error
    except Exception as error:  # Pillow's readers raise whatever the broken byte leads them to
        raise BadImageError(f"The {image_format.upper()} is broken or truncated.") from error
    return StoredImage(
        picture=rgb,
        stored_width_px=rgb.width,
        stored_height_px=rgb.height,
        # Pillow has turned a TIFF already.
        orientation=exif_orientation(exif) if exif and image_format != "tiff" else 1,
        format=image_format,
    )


def _webp_size_px(data: bytes | memoryview) -> tuple[int, int]:
    """https://developers.google.com/speed/webp/docs/riff_container"""
    head = bytes(data[:30])
    if len(head) < 30:
        raise BadImageError("The WEBP is cut off in its header.")
    match head[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(
                head[27:30], "little"
            )
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 ":
            width, height = head[26:28], head[28:30]
            return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(
                height, "little"
            ) & 0x3FFF
    raise BadImageError("The WEBP has no picture in it.")


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB" and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith("I;16"):
        wide = np.asarray(picture).astype(np.uint32)  # [H, W]
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise UnsupportedImageError(
            "The image has 32-bit samples, whose black and white nothing says; send 8 or 16 bits."
        )
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        seen = picture.convert("RGBA")
        page = Image.new("RGB", seen.size, _WHITE)
        page.paste(seen, mask=seen.getchannel("A"))
        return page
    return picture.convert("RGB")
