import math

import pytest
import torch

from models.data.boxed import BoxTruth
from models.detection.measures import average_precision
from models.detection.postprocess import Detections


def truth(*boxes: list[float], labels: list[int] | None = None, crowd: int = 0) -> BoxTruth:
    """The last `crowd` boxes are crowds."""
    xyxy = torch.tensor(boxes).view(-1, 4)
    is_crowd = torch.arange(len(boxes)) >= len(boxes) - crowd
    areas = (xyxy[:, 2:] - xyxy[:, :2]).prod(1)
    return BoxTruth(xyxy, torch.tensor(labels or [0] * len(boxes)), is_crowd, areas)


def found(*rows: tuple[list[float], float, int]) -> Detections:
    return Detections(
        torch.tensor([box for box, _, _ in rows]).view(-1, 4),
        torch.tensor([score for _, score, _ in rows]),
        torch.tensor([label for _, _, label in rows], dtype=torch.int64),
    )


A, B = [10.0, 10, 50, 50], [60.0, 60, 100, 100]


def test_perfect_boxes_have_ap_one() -> None:
    measured = average_precision([truth(A, B, labels=[0, 1])], [found((A, 1, 0), (B, 0.3, 1))], 2)
    assert measured.figures["AP"] == pytest.approx(1)
    assert measured.per_class == pytest.approx([1, 1])
    assert measured.figures["AP_medium"] == pytest.approx(1)
    assert math.isnan(measured.figures["AP_large"])


def test_one_of_two_found_is_precise_up_to_half_the_recall() -> None:
    measured = average_precision([truth(A, B)], [found((A, 0.9, 0))], 1)
    assert measured.figures["AP"] == pytest.approx(51 / 101)  # recall 0, 0.01, ..., 0.50


def test_a_surer_mistake_halves_the_precision() -> None:
    wrong = [200.0, 200, 240, 240]
    measured = average_precision([truth(A)], [found((wrong, 0.9, 0), (A, 0.8, 0))], 1)
    assert measured.figures["AP"] == pytest.approx(0.5)


def test_a_shifted_box_counts_up_to_its_iou() -> None:
    shifted = [20.0, 10, 60, 50]  # IoU 30 / 50 = 0.6: right at 0.50, 0.55 and 0.60
    measured = average_precision([truth(A)], [found((shifted, 0.9, 0))], 1)
    assert measured.figures["AP"] == pytest.approx(0.3)
    assert measured.figures["AP50"] == 1 and measured.figures["AP75"] == 0


def test_another_label_is_a_mistake() -> None:
    measured = average_precision([truth(A, B, labels=[0, 1])], [found((A, 0.9, 1), (B, 0.8, 1))], 2)
    assert measured.per_class == pytest.approx([0, 0.5])


def test_what_lies_in_a_crowd_neither_helps_nor_harms() -> None:
    inside = [70.0, 70, 90, 90]
    measured = average_precision([truth(A, B, crowd=1)], [found((inside, 0.95, 0), (A, 0.9, 0))], 1)
    assert measured.figures["AP"] == pytest.approx(1)


def test_images_without_objects_can_only_harm() -> None:
    empty = truth()
    assert average_precision([truth(A), empty], [found((A, 0.9, 0)), found()], 1).figures[
        "AP"
    ] == pytest.approx(1)
    harmed = average_precision([truth(A), empty], [found((A, 0.9, 0)), found((B, 0.95, 0))], 1)
    assert harmed.figures["AP"] == pytest.approx(0.5)


def test_nothing_found_is_ap_zero() -> None:
    assert average_precision([truth(A)], [found()], 1).figures["AP"] == 0
