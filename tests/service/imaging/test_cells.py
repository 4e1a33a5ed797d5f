"""Cells of a map against plain readings of where every pixel lies."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.bundle import Fit
from service.imaging.cells import CellMap, lay_cells, refine
from service.imaging.placement import Placement, place
from tests.service.imaging.maps import blobs

Mode = Literal["stretch", "crop", "letterbox"]


def placed(mode: Mode, size: tuple[int, int], side: int = 32) -> Placement:
    return place(Fit(mode=mode, height=side, width=side), *size)


def looked_up(values: np.ndarray, placement: Placement) -> np.ndarray:
    """The cell at the place of each pixel's middle, or the nearest whose own middle is shown;
    0 where the model did not look: [H, W]."""
    cells, seen = [], []
    for axis, size, side, count in (
        (1, placement.image_height_px, placement.input_height_px, values.shape[0]),
        (0, placement.image_width_px, placement.input_width_px, values.shape[1]),
    ):
        low, high = placement.input_rect_px[axis], placement.input_rect_px[axis + 2]
        shown = [at for at in range(count) if low <= (at + 0.5) * side / count < high]
        shown = shown or [int((low + high) / 2 * count / side)]
        middles = np.arange(size) + 0.5
        points = np.zeros((size, 2))
        points[:, axis] = middles
        at = np.floor(placement.to_input(points)[:, axis] * count / side + 1e-6).astype(int)
        cells.append(at.clip(shown[0], shown[-1]))
        low_px, high_px = placement.image_rect_px[axis], placement.image_rect_px[axis + 2]
        seen.append((middles >= low_px) & (middles < high_px))
    return np.where(np.logical_and.outer(*seen), values[np.ix_(*cells)], 0)


@pytest.mark.parametrize("mode", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("size", [(32, 32), (60, 44), (41, 77), (20, 5), (8, 8), (1, 1), (90, 30)])
def test_a_pixel_has_the_value_at_the_place_of_its_middle(
    mode: Mode, size: tuple[int, int]
) -> None:
    values = np.random.default_rng(0).integers(1, 200, (32, 32), np.uint8)
    placement = placed(mode, size)
    cell_map = lay_cells(values, placement)
    assert (cell_map.width_px, cell_map.height_px) == size
    for lines in (cell_map.rows_px, cell_map.columns_px):
        assert lines[0] == 0
        assert (np.diff(lines) > 0).all()
    np.testing.assert_array_equal(cell_map.pixels(), looked_up(values, placement))


@settings(deadline=None)
@given(
    hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.integers(0, 4),
    ),
    st.sampled_from([2, 3, 4, 5, 8]),
)
def test_parts_of_a_cell_have_what_bilinear_shares_say(values: np.ndarray, parts: int) -> None:
    refined = refine(values, parts)
    parts -= parts % 2
    if parts == 2:
        assert refined is values
        refined = refined.repeat(2, 0).repeat(2, 1)
    height, width = values.shape
    size = (width * parts, height * parts)
    shares = np.stack(
        [
            cv2.resize(np.float32(values == v), size, interpolation=cv2.INTER_LINEAR)
            for v in range(5)
        ]
    )
    assert refined.shape == shares.shape[1:]
    won = np.take_along_axis(shares, refined[None].astype(int), axis=0)[0]
    np.testing.assert_allclose(won, shares.max(axis=0), atol=1e-3)


def test_finer_cells_are_nearer_to_a_round_truth() -> None:
    truth = blobs(512, 512, 9)
    coarse = truth[4::8, 4::8]
    nearest = coarse.repeat(8, 0).repeat(8, 1)
    refined = lay_cells(coarse, placed("stretch", (512, 512))).pixels()
    assert (refined != truth).mean() < 0.85 * (nearest != truth).mean()
    np.testing.assert_array_equal(refined[4::8, 4::8], coarse)


def test_cells_stay_few_however_large_the_image() -> None:
    values = blobs(256, 256, 5)
    cell_map = lay_cells(values, placed("letterbox", (8000, 6000), 256))
    assert max(cell_map.cells.shape) <= 1024
    assert cell_map.cell_px == pytest.approx(8000 / 1024, rel=0.01)


def test_values_are_replaced_by_a_table() -> None:
    table = np.zeros(256, np.uint8)
    table[2] = 7
    cell_map = CellMap(np.array([[1, 2]], np.uint8), np.array([0, 1]), np.array([0, 2, 3]))
    np.testing.assert_array_equal(cell_map.look_up(table).pixels(), [[0, 0, 7]])


def test_an_enlarged_map_shows_the_same_larger() -> None:
    values = np.random.default_rng(0).integers(1, 200, (32, 32), np.uint8)
    cell_map = lay_cells(values, placed("stretch", (20, 12)))
    larger = cell_map.enlarged(72, 36)
    middles = np.arange(36) + 0.5, np.arange(72) + 0.5
    y, x = (middles[0] * 12 / 36).astype(int), (middles[1] * 20 / 72).astype(int)
    expected = cell_map.pixels()[np.ix_(y, x)]
    np.testing.assert_array_equal(larger.pixels(), expected)
    assert larger.cell_px == 1
