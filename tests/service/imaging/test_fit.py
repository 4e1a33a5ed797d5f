"""A fit against resize, crop and paste done one after the other with Pillow."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from PIL import Image

from service.bundle import Fit
from service.imaging import fit
from tests.service.imaging.pictures import photograph

PICTURE = photograph(300, 200)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "box"])
@pytest.mark.parametrize("size", [(64, 48), (224, 224), (400, 500)])
def test_stretch_is_a_resize(
    interpolation: Literal["bilinear", "bicubic", "box"], size: tuple[int, int]
) -> None:
    spec = Fit(mode="stretch", width=size[0], height=size[1], interpolation=interpolation)
    pixels, _ = fit(np.asarray(PICTURE), spec)
    expected = PICTURE.resize(size, Image.Resampling[interpolation.upper()])
    difference = np.abs(pixels.astype(int) - np.asarray(expected))
    assert difference.mean() < 1.0  # large reductions average whole blocks first


def test_crop_is_a_resize_and_a_centre_crop() -> None:
    pixels, _ = fit(np.asarray(PICTURE), Fit(mode="crop", width=112, height=112, crop_fraction=0.7))
    resized = PICTURE.resize((240, 160), Image.Resampling.BILINEAR)
    expected = np.asarray(resized.crop((64, 24, 176, 136)))
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_letterbox_is_a_resize_and_a_paste() -> None:
    spec = Fit(mode="letterbox", width=96, height=96, pad_value=(9, 8, 7))
    pixels, placement = fit(np.asarray(PICTURE), spec)
    page = Image.new("RGB", (96, 96), (9, 8, 7))
    page.paste(PICTURE.resize((96, 64), Image.Resampling.BILINEAR), (0, 16))
    assert placement.input_rect_px == (0, 16, 96, 80)
    assert np.abs(pixels.astype(int) - np.asarray(page)).max() <= 1


def test_an_image_of_the_right_size_is_not_touched() -> None:
    image = np.asarray(PICTURE)
    for mode in ("stretch", "crop", "letterbox"):
        pixels, _ = fit(image, Fit.model_validate({"mode": mode, "width": 300, "height": 200}))
        assert np.shares_memory(pixels, image)


def test_a_box_lands_on_its_pixels() -> None:
    image = np.zeros((400, 600, 3), np.uint8)
    image[120:200, 240:360] = 255
    for mode in ("stretch", "crop", "letterbox"):
        spec = Fit.model_validate({"mode": mode, "width": 300, "height": 300, "crop_fraction": 0.9})
        pixels, placement = fit(image, spec)
        rows, columns = np.nonzero(pixels[..., 0] > 127)
        seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert np.abs(placement.to_input([240, 120, 360, 200]) - seen).max() <= 1
