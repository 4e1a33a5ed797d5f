"""Tags stay inside the frame, and off each other while there is room."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from service.imaging.tags import Rect, place_tags

FRAME = (400, 300)

rects = st.builds(
    lambda left, top, width, height: (left, top, left + width, top + height),
    *(st.integers(0, 250), st.integers(0, 250), st.integers(1, 150), st.integers(1, 150)),
)


def overlaps(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@settings(deadline=None)
@given(st.lists(rects, max_size=12), st.integers(10, 380), st.integers(8, 40))
def test_tags_stay_inside_the_frame(boxes: list[Rect], width: int, height: int) -> None:
    placed = place_tags(boxes, [(width, height)] * len(boxes), FRAME)
    for left, top, right, bottom in placed:
        assert 0 <= left < right <= FRAME[0] and 0 <= top < bottom <= FRAME[1]
        assert (right - left, bottom - top) == (width, height)


def test_a_tag_sits_on_its_box_and_inside_when_there_is_no_room_above() -> None:
    assert place_tags([(100, 50, 200, 150)], [(60, 20)], FRAME) == [(100, 30, 160, 50)]
    assert place_tags([(100, 5, 200, 150)], [(60, 20)], FRAME) == [(100, 5, 160, 25)]


def test_tags_of_boxes_in_one_place_do_not_cover_each_other() -> None:
    placed = place_tags([(100, 100, 200, 200)] * 8, [(80, 20)] * 8, FRAME)
    assert not any(overlaps(a, b) for a, b in combinations(placed, 2))
    assert placed[0] == (100, 80, 180, 100)


def test_a_tag_larger_than_the_frame_starts_at_its_edge() -> None:
    assert place_tags([(10, 10, 20, 20)], [(500, 20)], FRAME)[0][0] == 0
