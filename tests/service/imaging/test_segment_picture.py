from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import correlate

from service.imaging.canvas import Style
from service.imaging.cells import CellMap
from service.imaging.segment_picture import (
    Painted,
    _edges,
    _edges_around,
    draw_segments,
    widest_rooms,
)

RED, BLUE = (220, 30, 20), (20, 40, 230)
SCENE = np.zeros((48, 64), np.uint8)
SCENE[8:40, 4:30] = 1
SCENE[8:40, 30:44] = 2
SCENE[40:, :] = 3


def scaled(cells: np.ndarray, times: int) -> CellMap:
    height, width = cells.shape
    return CellMap(cells, np.arange(height + 1) * times, np.arange(width + 1) * times)


def painted(stands_out: bool = True) -> list[Painted]:
    return [
        Painted(1, (40, 80, 300, 400), RED, "", stands_out),
        Painted(2, (300, 80, 440, 400), RED, "", stands_out),
        Painted(3, (0, 400, 640, 480), BLUE, "", stands_out=False),
    ]


def test_regions_are_tinted_and_nothing_else_is() -> None:
    grey = np.full((480, 640, 3), 100, np.uint8)
    drawn = draw_segments(grey, scaled(SCENE, 10), painted(stands_out=False))
    assert (drawn[:70] == 100).all()
    np.testing.assert_allclose(drawn[300, 60], (np.array(RED) + 100) / 2, atol=2)
    np.testing.assert_allclose(drawn[470, 20], (np.array(BLUE) + 100) / 2, atol=2)


def test_two_of_one_colour_are_told_apart_by_their_edges() -> None:
    grey = np.full((480, 640, 3), 100, np.uint8)
    row = draw_segments(grey, scaled(SCENE, 10), painted())[300].astype(int)
    inside, edge = row[60], row[300]
    assert abs(edge - RED).max() < 15
    assert abs(inside - RED).max() > 50
    assert (row[45:290] == inside).all(axis=-1).sum() > 180


@pytest.mark.parametrize("cell_px", [1, 2, 5])
def test_edges_are_as_wide_as_a_line_and_a_cell_at_most(cell_px: int) -> None:
    cells = SCENE.repeat(10 // cell_px, 0).repeat(10 // cell_px, 1)
    grey = np.full((480, 640, 3), 100, np.uint8)
    row = draw_segments(grey, scaled(cells, cell_px), painted())[300].astype(int)
    is_edge = abs(row - RED).max(axis=-1) < 15
    line_px = Style.of(640, 480).line_px
    for at in (40, 299, 300, 439):  # where a region begins or ends
        from_there = is_edge[at:] if at in (40, 300) else is_edge[at::-1]
        assert line_px <= from_there.argmin() < line_px + cell_px


def test_names_stand_inside_where_there_is_room() -> None:
    grey = np.full((480, 640, 3), 100, np.uint8)
    plain = painted()
    named = [
        Painted(p.value, p.box_px, p.colour, "name" if p.value == 1 else "", p.stands_out)
        for p in plain
    ]
    cell_map = scaled(SCENE, 10)
    changed = (draw_segments(grey, cell_map, named) != draw_segments(grey, cell_map, plain)).any(-1)
    rows, columns = np.nonzero(changed)
    x, y, _ = widest_rooms(cell_map)[1]
    assert rows.mean() == pytest.approx(y, abs=5)
    assert columns.mean() == pytest.approx(x, abs=5)
    assert (SCENE.repeat(10, 0).repeat(10, 1)[changed] == 1).all()


def test_the_widest_room_is_the_middle_of_the_largest_square() -> None:
    rooms = widest_rooms(scaled(SCENE, 10))
    assert rooms[1] == pytest.approx((170, 240, 130), abs=10)
    assert rooms[2] == pytest.approx((370, 240, 70), abs=10)
    assert rooms[3] == pytest.approx((320, 440, 40), abs=10)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    width, height = size
    cell_map = CellMap(np.ones((1, 1), np.uint8), np.array([0, height]), np.array([0, width]))
    picture = np.zeros((height, width, 3), np.uint8)
    drawn = draw_segments(picture, cell_map, [Painted(1, (0, 0, width, height), RED, "a name")])
    assert drawn.any()


def test_nothing_found_leaves_the_picture_as_it_is() -> None:
    grey = np.full((480, 640, 3), 100, np.uint8)
    empty = scaled(np.zeros((48, 64), np.uint8), 10)
    np.testing.assert_array_equal(draw_segments(grey, empty, []), grey)


@pytest.mark.parametrize("row", [1, 3, 7, 15, 17, 27])
def test_edges_are_counted_in_squares(row: int) -> None:
    values = np.random.default_rng(0).integers(0, 2, (30, 41), dtype=np.uint8)
    is_edge = _edges(values).astype(int)
    expected = correlate(is_edge, np.ones((row, row), int), mode="constant")
    np.testing.assert_array_equal(_edges_around(values, row), expected)
