from __future__ import annotations

import numpy as np
import pytest

from service.imaging import COLOUR_MAP, draw_depth
from service.imaging.depth_picture import UNKNOWN


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (480, 640), (40, 30)])
def test_the_picture_lies_above_its_legend_at_any_size(size: tuple[int, int]) -> None:
    drawn = draw_depth(np.full(size, 2, np.float32), 1, 3, " m")
    assert drawn.dtype == np.uint8
    assert drawn.shape[0] > size[0] and drawn.shape[1:] == (size[1], 3)


def test_colours_are_linear_in_the_inverse_of_the_depth() -> None:
    depth = (1 / np.linspace(1, 0.25, 256, dtype=np.float32))[None]
    np.testing.assert_allclose(draw_depth(depth, 1, 4, "")[0], COLOUR_MAP[::-1], atol=3)


def test_what_is_beyond_the_ends_has_their_colours_and_what_is_unknown_none() -> None:
    row = draw_depth(np.array([[0.01, 900, np.nan]], np.float32), 1, 4, "")[0]
    np.testing.assert_array_equal(row, [COLOUR_MAP[255], COLOUR_MAP[0], UNKNOWN])


def test_an_even_depth_is_drawn_too() -> None:
    assert np.isin(draw_depth(np.full((2, 2), 5, np.float32), 5, 5, "")[:2], COLOUR_MAP).all()
