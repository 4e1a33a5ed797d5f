import pytest
import torch

from models.depth.losses import appearance, ssim

GENERATOR = torch.Generator().manual_seed(0)
FIRST, SECOND = torch.rand(2, 2, 3, 6, 8, generator=GENERATOR)


def test_it_weighs_structure_and_distance() -> None:
    structure = ((1 - ssim(FIRST, SECOND)) / 2).mean()
    expected = 0.85 * structure + 0.15 * (FIRST - SECOND).abs().mean()
    torch.testing.assert_close(appearance(FIRST, SECOND), expected)
    torch.testing.assert_close(appearance(FIRST, SECOND, alpha=0.0), (FIRST - SECOND).abs().mean())


def test_only_counted_pixels_count() -> None:
    counted = torch.zeros(2, 1, 6, 8, dtype=torch.bool)
    counted[:, :, :, :4] = True
    changed = SECOND.clone()
    changed[..., 5:] = 0  # a window in the middle of column 3 still sees column 4
    whole = appearance(FIRST, SECOND, counted)
    torch.testing.assert_close(whole, appearance(FIRST, changed, counted))
    everything = torch.ones_like(counted)
    torch.testing.assert_close(appearance(FIRST, SECOND, everything), appearance(FIRST, SECOND))
    assert appearance(FIRST, SECOND, torch.zeros_like(counted)) == pytest.approx(0)
