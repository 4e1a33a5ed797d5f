import pytest
import torch
from torch import Tensor
from torchvision import ops

from models.detection.boxes import (
    aligned_giou,
    area,
    clip_to,
    cxcywh_to_xyxy,
    pairwise_giou,
    pairwise_iou,
    xyxy_to_cxcywh,
)


def random_boxes(count: int, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=draw) * 80
    return torch.cat([corner, corner + 1 + 40 * torch.rand(count, 2, generator=draw)], 1)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(pairwise_iou, ops.box_iou), (pairwise_giou, ops.generalized_box_iou)],
)
def test_overlaps_of_all_pairs_agree_with_torchvision(ours: object, theirs: object) -> None:
    a, b = random_boxes(30, 0), random_boxes(40, 1)
    torch.testing.assert_close(ours(a, b), theirs(a, b))  # type: ignore[operator]


def test_overlaps_take_batches() -> None:
    a, b = random_boxes(12, 2).view(3, 4, 4), random_boxes(15, 3).view(3, 5, 4)
    overlaps = pairwise_iou(a, b)
    for image in range(3):
        torch.testing.assert_close(overlaps[image], ops.box_iou(a[image], b[image]))


def test_giou_of_partners_is_the_diagonal_of_all_pairs() -> None:
    a, b = random_boxes(20, 4), random_boxes(20, 5)
    torch.testing.assert_close(aligned_giou(a, b), pairwise_giou(a, b).diagonal())


def test_the_union_counts_the_intersection_once() -> None:
    a, b = torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[1.0, 0, 3, 2]])
    assert pairwise_iou(a, b).item() == pytest.approx(2 / 6)


def test_boxes_without_area_overlap_nothing() -> None:
    point = torch.tensor([[5.0, 5, 5, 5]])
    assert pairwise_iou(point, point).item() == 0
    assert torch.isfinite(pairwise_giou(point, point)).all()
    assert area(torch.tensor([4.0, 4, 2, 8])).item() == 0


def test_forms_convert_as_in_torchvision_and_back() -> None:
    boxes = random_boxes(20, 6)
    centred = xyxy_to_cxcywh(boxes)
    torch.testing.assert_close(centred, ops.box_convert(boxes, "xyxy", "cxcywh"))
    torch.testing.assert_close(cxcywh_to_xyxy(centred), boxes)


def test_clipping_agrees_with_torchvision() -> None:
    boxes = random_boxes(20, 7) * 2 - 40
    expected = ops.clip_boxes_to_image(boxes, (50, 70))
    torch.testing.assert_close(clip_to(boxes, (50, 70)), expected)
