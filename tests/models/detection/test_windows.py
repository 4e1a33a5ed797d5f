import torch

from models.data.boxed import PAD_VALUE, cut_windows
from models.detection.windows import (
    boxes_to_image,
    boxes_to_input,
    fit_windows,
    keep_visible,
    mirror_boxes,
)


def test_a_letterbox_shows_the_whole_image_evenly_padded() -> None:
    sizes = torch.tensor([[200, 100], [100, 200], [50, 50]])
    windows = fit_windows(sizes, (100, 100), "letterbox")
    assert windows.tolist() == [[0, -50, 200, 150], [-50, 0, 150, 200], [0, 0, 50, 50]]


def test_a_stretch_shows_nothing_but_the_image() -> None:
    windows = fit_windows(torch.tensor([[200, 100]]), (64, 96), "stretch")
    assert windows.tolist() == [[0, 0, 200, 100]]


def test_boxes_go_to_the_input_and_back() -> None:
    boxes = torch.tensor([[[10.0, 20, 60, 80]]])
    windows = torch.tensor([[0.0, -50, 200, 150]])
    there = boxes_to_input(boxes, windows, (100, 100))
    assert there.tolist() == [[[5, 35, 30, 65]]]
    torch.testing.assert_close(boxes_to_image(there, windows, (100, 100)), boxes)


def test_mirrors_swap_left_and_right_where_told() -> None:
    boxes = torch.tensor([[[10.0, 20, 60, 80]], [[10.0, 20, 60, 80]]])
    mirrored = mirror_boxes(boxes, torch.tensor([True, False]), (90, 100))
    assert mirrored.tolist() == [[[40, 20, 90, 80]], [[10, 20, 60, 80]]]


def test_boxes_that_lost_too_much_become_padding() -> None:
    boxes = torch.tensor([[[-30.0, 0, 10, 20], [-10, 0, 30, 20], [5, 5, 6, 30], [0, 0, 0, 0]]])
    labels = torch.tensor([[0, 1, 2, -1]])
    cut, kept = keep_visible(boxes, labels, (64, 64), least_share=0.4, least_side_px=3)
    assert kept.tolist() == [[-1, 1, -1, -1]]
    assert cut[0, 1].tolist() == [0, 0, 30, 20] and cut[0, 0].tolist() == [0, 0, 0, 0]


def test_a_window_of_half_the_scale_averages_four_pixels() -> None:
    planes = torch.rand(1, 3, 64, 64) * 255
    half = cut_windows(planes, torch.tensor([[0.0, 0, 64, 64]]), (32, 32))
    torch.testing.assert_close(half, torch.nn.functional.avg_pool2d(planes, 2))
    quarter = cut_windows(planes, torch.tensor([[0.0, 0, 64, 64]]), (16, 16))
    torch.testing.assert_close(quarter, torch.nn.functional.avg_pool2d(planes, 4))


def test_outside_of_the_image_is_grey() -> None:
    planes = torch.zeros(1, 3, 32, 32)
    cut = cut_windows(planes, torch.tensor([[-16.0, 0, 16, 32]]), (32, 32))
    assert (cut[..., :15] == PAD_VALUE).all() and (cut[..., 17:] == 0).all()
