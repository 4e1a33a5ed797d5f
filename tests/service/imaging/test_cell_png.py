"""The panoptic PNG, read by Pillow and by OpenCV."""

from __future__ import annotations

import io

import cv2
import numpy as np
from hypothesis import given, settings
from PIL import Image

from service.imaging.cell_png import encode_cell_png
from service.imaging.cells import CellMap
from tests.service.imaging.maps import blobs, cell_maps


def check(cell_map: CellMap) -> bytes:
    data = encode_cell_png(cell_map, {"key": "a text"})
    opened = Image.open(io.BytesIO(data))
    assert opened.mode == "RGB"
    pixels = np.asarray(opened)
    np.testing.assert_array_equal(pixels[..., 0], cell_map.pixels())
    assert not pixels[..., 1:].any()
    assert opened.text == {"key": "a text"}
    blue_green_red = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(blue_green_red[..., ::-1], pixels)
    return data


@settings(deadline=None)
@given(cell_maps(widest_px=70))
def test_any_map_is_read_back(cell_map: CellMap) -> None:
    check(cell_map)


def test_a_large_image_costs_little() -> None:
    lines = [np.linspace(0, px, n + 1).round().astype(int) for px, n in ((1500, 192), (2000, 256))]
    assert len(check(CellMap(blobs(192, 256, 20), *lines))) < 60_000
