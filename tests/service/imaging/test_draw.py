"""Drawings keep the picture, stay in the frame, and survive any size, box and text."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from service.imaging import class_colour, draw_boxes, draw_labels
from tests.service.imaging.pictures import photograph

SIZES = [(1, 1), (32, 32), (640, 480), (4000, 30), (30, 2000), (1500, 1100)]


@pytest.mark.parametrize("size", SIZES)
def test_boxes_are_drawn_at_any_size(size: tuple[int, int]) -> None:
    image = np.asarray(photograph(*size))
    width, height = size
    boxes = np.array([[0.1, 0.2, 0.6, 0.9], [0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], [-1, -1, 3, 3]])
    drawn = draw_boxes(
        image,
        boxes * [width, height, width, height],
        ["cat", "a name that is far too long for a tag to hold " * 4, "", "a\nb"],
        [0.9, 0.5, 1.0, 0.0],
        [class_colour(index) for index in range(4)],
    )
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3
    assert drawn.shape[0] >= height and drawn.shape[1] >= width
    assert max(drawn.shape) >= min(480, 16 * max(size))


def test_a_box_has_its_colour_on_its_edges_and_leaves_the_rest_alone() -> None:
    image = np.full((600, 800, 3), 90, np.uint8)
    drawn = draw_boxes(image, [[200, 200, 500, 400]], ["cat"], [0.9], [(250, 120, 10)])
    assert drawn.shape == image.shape
    for x, y in ((200, 300), (499, 300), (350, 399), (450, 200)):
        assert drawn[y, x].tolist() == [250, 120, 10]
    outside = drawn.copy()
    outside[160:410, 190:510] = 90
    assert (outside == 90).all()
    assert (image == 90).all()


def test_no_boxes_leave_the_picture_as_it_is() -> None:
    image = np.asarray(photograph(640, 480))
    assert np.array_equal(draw_boxes(image, [], [], [], []), image)


def test_boxes_need_no_scores() -> None:
    image = np.asarray(photograph(640, 480))
    with_scores = draw_boxes(image, [[9, 99, 300, 300]], ["cat"], [0.5], [class_colour(0)])
    without = draw_boxes(image, [[9, 99, 300, 300]], ["cat"], None, [class_colour(0)])
    assert not np.array_equal(with_scores, without)


@pytest.mark.parametrize("size", SIZES)
def test_labels_are_drawn_below_the_picture(size: tuple[int, int]) -> None:
    image = np.asarray(photograph(*size))
    lines = [("cat", 1.0), ("dog " * 40, 0.12), ("", 0.0), ("naïve über 猫", 1e-9)]
    drawn = draw_labels(image, lines)
    bare = draw_labels(image, [])
    assert drawn.shape[0] > bare.shape[0] >= size[1]
    assert drawn.shape[1] == bare.shape[1] >= max(size[0], 250)
    assert np.array_equal(drawn[: bare.shape[0]], bare)


def test_a_longer_bar_is_a_higher_score() -> None:
    image = np.asarray(photograph(640, 480))
    blue = [
        int((draw_labels(image, [("cat", score)])[480:, :, 2] > 200).sum())
        for score in (0.0, 0.2, 0.7, 1.0)
    ]
    assert blue == sorted(blue) and len(set(blue)) == 4


def test_threads_draw_alike() -> None:
    image = np.asarray(photograph(300, 200))
    expected = draw_labels(image, [("cat", 0.5)])
    seen: list[bool] = []

    def work() -> None:
        for _ in range(5):
            seen.append(np.array_equal(draw_labels(image, [("cat", 0.5)]), expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 20
