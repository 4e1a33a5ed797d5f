"""Maps brought back to the image, against interpolation by scipy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import map_coordinates

from service.imaging import Placement, percentiles, place, seen_part, spread


@dataclass(frozen=True)
class Spec:
    mode: Literal["stretch", "crop", "letterbox"]
    height: int = 24
    width: int = 32
    interpolation: Literal["bilinear"] = "bilinear"
    crop_fraction: float = 0.875
    pad_value: tuple[int, int, int] = (114, 114, 114)


def by_scipy(values: npt.NDArray[np.float32], placement: Placement) -> npt.NDArray[np.float64]:
    """The map at the middle of every pixel of the image that was seen; NaN elsewhere."""
    left, top, right, bottom = placement.input_rect_px
    x1, y1, x2, y2 = placement.image_rect_px
    x = np.arange(placement.image_width_px) + 0.5
    y = np.arange(placement.image_height_px) + 0.5
    at_x = (x - x1) / (x2 - x1) * (right - left) - 0.5
    at_y = (y - y1) / (y2 - y1) * (bottom - top) - 0.5
    part = values[top:bottom, left:right].astype(np.float64)
    grid = np.meshgrid(at_y, at_x, indexing="ij")
    found = map_coordinates(part, grid, order=1, mode="nearest")
    seen = ((y > y1) & (y < y2))[:, None] & ((x > x1) & (x < x2))[None]
    return np.where(seen, found, np.nan)


@pytest.mark.parametrize("mode", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("size", [(97, 61), (122, 194), (320, 240), (403, 50)])
def test_a_map_is_enlarged_as_scipy_does_it(
    mode: Literal["stretch", "crop", "letterbox"], size: tuple[int, int]
) -> None:
    values = np.random.default_rng(0).uniform(1, 5, (24, 32)).astype(np.float32)
    placement = place(Spec(mode), *size)
    found, expected = spread(values, placement), by_scipy(values, placement)
    assert found.shape == size[::-1]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_a_smaller_image_gets_means() -> None:
    values = np.tile(np.array([[1, 3], [3, 1]], np.float32), (12, 16))  # [24, 32]
    found = spread(values, place(Spec("stretch"), 4, 3))
    np.testing.assert_allclose(found, np.full((3, 4), 2), atol=0.05)


def test_margins_do_not_bleed_into_the_image() -> None:
    placement = place(Spec("letterbox"), 320, 60)
    values = np.full((24, 32), 1000, np.float32)
    seen_part(values, placement)[:] = 1
    assert (spread(values, placement) == 1).all()


def test_another_size_is_the_same_view() -> None:
    placement = place(Spec("crop"), 320, 100)
    across = np.broadcast_to(np.linspace(1, 2, 32, dtype=np.float32), (24, 32))
    whole = spread(across, placement)
    half = spread(across, placement, (160, 50))
    assert half.shape == (50, 160)
    np.testing.assert_array_equal(np.isnan(half), np.isnan(whole[::2, ::2]))
    np.testing.assert_allclose(half, (whole[::2, ::2] + whole[1::2, 1::2]) / 2, atol=0.01)


@pytest.mark.parametrize("kind", ["even", "skewed", "few values", "one value", "tiny differences"])
@pytest.mark.parametrize("size", [1, 2, 3, 100, 49_152])
def test_percentiles_are_those_of_numpy(kind: str, size: int) -> None:
    random = np.random.default_rng(size)
    values = {
        "even": random.uniform(-3, 5, size),
        "skewed": random.lognormal(0, 4, size),
        "few values": random.integers(0, 3, size),
        "one value": np.full(size, 0.7),
        "tiny differences": random.integers(0, 5, size) * 1e-45,
    }[kind].astype(np.float32)
    wanted = (0, 2, 25, 33.3, 50, 75, 98, 100)

    found = percentiles(np.sort(values), wanted)

    # numpy itself interpolates from both ends, and so rounds otherwise.
    np.testing.assert_allclose(found, np.percentile(values.astype(np.float64), wanted), rtol=1e-12)
