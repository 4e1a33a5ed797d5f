import pytest

from models.detection.mistakes import find_mistakes
from tests.models.detection.test_measures import A, B, found, truth


def test_right_wrong_and_missed() -> None:
    off = [30.0, 10, 70, 50]  # IoU 1/3 with A
    mistakes = find_mistakes(
        truth(A, B), found((A, 0.9, 0), (A, 0.8, 0), (off, 0.5, 0), (B, 0.2, 0))
    )
    assert mistakes.is_right.tolist() == [True, False, False]  # the fourth is not sure
    assert mistakes.is_missed.tolist() == [False, True]
    assert mistakes.weight == pytest.approx(1 + 0.8 + 0.5)


def test_labels_must_agree() -> None:
    mistakes = find_mistakes(truth(A), found((A, 0.9, 1)))
    assert mistakes.is_right.tolist() == [False] and mistakes.is_missed.tolist() == [True]


def test_a_crowd_is_neither_missed_nor_wrong() -> None:
    inside = [70.0, 70, 90, 90]
    mistakes = find_mistakes(truth(A, B, crowd=1), found((A, 0.9, 0), (inside, 0.9, 0)))
    assert mistakes.weight == 0


def test_images_without_anything() -> None:
    assert find_mistakes(truth(), found()).weight == 0
    assert find_mistakes(truth(), found((A, 0.9, 0))).weight == pytest.approx(0.9)
    assert find_mistakes(truth(A), found()).weight == 1
