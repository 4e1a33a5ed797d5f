import numpy as np
import pytest
import torch

from models.data.stereo import ArrayPairs, resize_pixels

LEFT, RIGHT = torch.randint(
    0, 256, (2, 3, 8, 12, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
CAMERAS = np.array([[12.0, 6, 4, 0.1], [18.0, 6, 4, 0.2], [24.0, 6, 4, 0.3]])


def test_pairs_are_read_together_and_in_the_order_asked() -> None:
    pairs = ArrayPairs(LEFT.numpy(), RIGHT.numpy(), CAMERAS, None, "x")
    left, right = pairs.read(torch.tensor([2, 0]), (8, 12))
    assert torch.equal(left, LEFT[[2, 0]]) and torch.equal(right, RIGHT[[2, 0]])
    cameras = pairs.cameras(torch.tensor([1]))
    assert cameras.focal_widths.item() == 1.5 and cameras.baseline_m.item() == pytest.approx(0.2)


def test_unknown_cameras_and_depths_are_told() -> None:
    pairs = ArrayPairs(LEFT, RIGHT, None, None, "x")
    assert pairs.cameras(torch.arange(3)).focal_widths.isnan().all() and not pairs.has_depth
    with pytest.raises(ValueError, match="the depth is not known"):
        pairs.depth(0)


def test_views_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="the views differ"):
        ArrayPairs(LEFT, RIGHT[:, :4], None, None, "x")


def test_halving_averages_pixels() -> None:
    small = resize_pixels(LEFT, (4, 6))
    expected = LEFT.view(3, 4, 2, 6, 2, 3).float().mean((2, 4))
    assert (small.float() - expected).abs().max() <= 0.5


def test_any_size_can_be_asked_for() -> None:
    assert resize_pixels(LEFT, (5, 7)).shape == (3, 5, 7, 3)
    flat = torch.full((1, 8, 12, 3), 77, dtype=torch.uint8)
    assert (resize_pixels(flat, (20, 9)) == 77).all()
