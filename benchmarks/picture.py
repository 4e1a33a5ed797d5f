"""The picture that every request of the benchmark carries: synthetic, but as hard as a photograph.

H W pixels.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH_PX, HEIGHT_PX = 640, 480
QUALITY = 85


def picture_jpeg() -> bytes:
    """About 70 kB of baseline JPEG with 4:2:0 chroma, the same bytes on every call."""
    rng = np.random.default_rng(7)
    light = _natural_noise(rng, HEIGHT_PX, WIDTH_PX)  # [H, W]
    tints = [_natural_noise(rng, HEIGHT_PX, WIDTH_PX) for _ in range(3)]
    rgb = np.stack([128 + 30 * light + 12 * tint for tint in tints], axis=-1)  # [H, W, 3]
    _add_discs(rng, rgb)
    pixels = np.clip(rgb, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, subsampling="4:2:0")
    return buffer.getvalue()


def _natural_noise(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    """[H, W] of unit variance whose amplitude falls with frequency about as in photographs."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf  # no mean
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / frequency**1.25
    noise: NDArray[np.float64] = np.fft.irfft2(spectrum, (height, width))
    noise /= noise.std()
    return noise


def _add_discs(rng: np.random.Generator, rgb: NDArray[np.float64]) -> None:
    """Objects with sharp edges."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    for _ in range(12):
        centre_x, centre_y = rng.uniform(0, WIDTH_PX), rng.uniform(0, HEIGHT_PX)
        inside = np.hypot(x - centre_x, y - centre_y) < rng.uniform(20, 90)
        rgb[inside] = 0.4 * rgb[inside] + 0.6 * rng.uniform(0, 255, 3)
