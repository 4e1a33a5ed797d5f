"""Coordinates travel to the input and back without loss, and land where the pixels do."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.bundle import Fit
from service.imaging import Placement, place

sides = st.integers(1, 5000)
specs = st.builds(
    Fit,
    mode=st.sampled_from(["stretch", "crop", "letterbox"]),
    height=st.integers(1, 1024),
    width=st.integers(1, 1024),
    crop_fraction=st.floats(0.1, 1.0),
)


@settings(deadline=None)
@given(spec=specs, width=sides, height=sides, data=st.data())
def test_there_and_back(spec: Fit, width: int, height: int, data: st.DataObject) -> None:
    placement = place(spec, width, height)
    coordinate = st.floats(0, 5000)
    boxes = np.array(data.draw(st.lists(st.tuples(*[coordinate] * 4), max_size=5)))
    boxes = boxes.reshape(-1, 4)
    for there, back in (
        (placement.to_input, placement.to_image),
        (placement.to_image, placement.to_input),
    ):
        np.testing.assert_allclose(back(there(boxes)), boxes, rtol=1e-9, atol=1e-6)


@settings(deadline=None)
@given(spec=specs, width=sides, height=sides)
def test_what_is_seen_lies_inside_both_frames(spec: Fit, width: int, height: int) -> None:
    placement = place(spec, width, height)
    left, top, right, bottom = placement.image_rect_px
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    left, top, right, bottom = placement.input_rect_px
    assert 0 <= left < right <= spec.width and 0 <= top < bottom <= spec.height
    corners = placement.to_image(np.array(placement.input_rect_px))
    np.testing.assert_allclose(corners, placement.image_rect_px, atol=1e-9 * max(width, height))


def test_letterbox_centres_and_keeps_the_aspect() -> None:
    placement = place(Fit(mode="letterbox", height=640, width=640), 1280, 720)
    assert placement.input_rect_px == (0, 140, 640, 500)
    assert placement.to_input([0, 0, 1280, 720]).tolist() == [0, 140, 640, 500]
    assert placement.to_image([320, 320]).tolist() == [640, 360]


def test_crop_follows_the_shorter_side() -> None:
    # 640×480 with the shorter side at 256 is 341.3×256; the centre 224 of it begins at 58.7, 16.
    placement = place(Fit(mode="crop", height=224, width=224, crop_fraction=0.875), 640, 480)
    np.testing.assert_allclose(placement.image_rect_px, (110, 30, 530, 450))
    assert placement.needed_px == (342, 256)


@pytest.mark.parametrize("mode", ["stretch", "crop", "letterbox"])
def test_boxes_are_clipped_to_the_image_on_request(
    mode: Literal["stretch", "crop", "letterbox"],
) -> None:
    placement = place(Fit(mode=mode, height=100, width=100), 300, 150)
    boxes = placement.to_image(np.array([[-500, -500, 500, 500]], np.float32), clip=True)
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[0, 0, 300, 150]]


def test_no_boxes_are_no_trouble() -> None:
    placement = Placement(10, 10, 5, 5, (0.0, 0.0, 10.0, 10.0), (0, 0, 5, 5))
    assert placement.to_image(np.empty((0, 4))).shape == (0, 4)
