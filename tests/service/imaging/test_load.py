"""`load` agrees with a full decode followed by a fit, for every mode and orientation."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from service.bundle import Fit
from service.imaging import ImageLimits, decode, fit, load
from tests.service.imaging.pictures import photograph, with_orientation

LIMITS = ImageLimits()


@pytest.mark.parametrize("mode", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(64, 64), (90, 51), (224, 160)])
def test_a_scaled_decode_is_close_to_a_full_one(
    mode: str, orientation: int, size: tuple[int, int]
) -> None:
    data = with_orientation(photograph(611, 403), "JPEG", orientation)
    spec = Fit.model_validate({"mode": mode, "width": size[0], "height": size[1]})

    loaded, placement, info = load(data, LIMITS, spec)
    whole = decode(data, LIMITS)
    fitted, same_placement = fit(whole.pixels, spec)

    assert placement == same_placement
    assert (info.width_px, info.height_px) == (whole.width_px, whole.height_px)
    assert loaded.shape == (size[1], size[0], 3)
    difference = np.abs(loaded.astype(int) - fitted)
    assert difference.mean() < 2.0
    assert np.percentile(difference, 99) < 12


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_writes_into_the_row_of_a_batch(image_format: str) -> None:
    data = with_orientation(photograph(120, 50), image_format, 6)
    spec = Fit(mode="letterbox", width=64, height=48, pad_value=(1, 2, 3))
    batch = np.zeros((3, 48, 64, 3), np.uint8)

    row, placement, _ = load(data, LIMITS, spec, out=batch[1])

    assert np.shares_memory(row, batch)
    assert np.array_equal(row, load(data, LIMITS, spec)[0])
    assert not batch[0].any() and not batch[2].any()
    left, _, right, _ = placement.input_rect_px
    assert (left, right) == (22, 42)
    assert (row[:, :left] == (1, 2, 3)).all() and (row[:, right:] == (1, 2, 3)).all()


def test_refuses_an_out_of_another_shape() -> None:
    data = with_orientation(photograph(20, 20), "PNG", 1)
    spec = Fit(mode="stretch", width=8, height=4)
    with pytest.raises(ValueError, match=r"\[8, 4, 3\], not \[4, 8, 3\]"):
        load(data, LIMITS, spec, out=np.empty((8, 4, 3), np.uint8))


@pytest.mark.parametrize("size", [(1, 1), (10_000, 1), (1, 3_000)])
@pytest.mark.parametrize("mode", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_extreme_shapes_fit(size: tuple[int, int], mode: str, image_format: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", size, (200, 30, 60)).save(buffer, image_format, quality=95)
    spec = Fit.model_validate({"mode": mode, "width": 32, "height": 24, "crop_fraction": 0.9})

    pixels, placement, info = load(buffer.getvalue(), LIMITS, spec)

    assert (info.width_px, info.height_px) == size
    left, top, right, bottom = placement.input_rect_px
    assert np.abs(pixels[top:bottom, left:right].astype(int) - (200, 30, 60)).max() <= 4
