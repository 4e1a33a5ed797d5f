"""Patterns and noise: averages are averages, tiles have no seams, far is calm."""

import numpy as np
import pytest
import torch

from models.data.world.noise import noise
from models.data.world.patterns import TABLE_PATTERNS, WALL_PATTERNS, _lines, _square_wave


def averaged(values: np.ndarray, x: np.ndarray, width: float) -> float:
    return float(values[np.abs(x) < width / 2].mean())


@pytest.mark.parametrize("centre", [0.1, 0.95, 3.4, -2.7])
@pytest.mark.parametrize("width", [0.05, 0.4, 0.9])
def test_patterns_are_averaged_over_the_sample(centre: float, width: float) -> None:
    window = np.linspace(-0.5, 0.5, 20_001) * width
    x = centre + window
    wave = np.where(np.floor(x) % 2 == 0, -1, 1).mean()
    lines = (x - np.floor(x) < 0.2).mean()
    at, wide = torch.tensor([centre]), torch.tensor([width])
    assert abs(float(_square_wave(at, wide))) == pytest.approx(abs(wave), abs=2e-3)
    assert float(_lines(at, 0.2, wide)) == pytest.approx(lines, abs=2e-3)


def test_noise_has_no_seam() -> None:
    u, v = torch.rand(500), torch.rand(500)
    tile, near = torch.zeros(500, dtype=torch.int64), torch.full((500,), 1e-4)
    here = noise(tile, u, v, near)
    torch.testing.assert_close(noise(tile, u + 1, v - 2, near), here, atol=2e-3, rtol=0)


def test_noise_calms_down_far_away() -> None:
    u, v = torch.rand(4000), torch.rand(4000)
    tile = torch.zeros(4000, dtype=torch.int64)
    spread = [float(noise(tile, u, v, torch.full((4000,), w)).std()) for w in (1e-4, 0.1, 0.25)]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize("pattern", TABLE_PATTERNS + WALL_PATTERNS)
def test_patterns_keep_the_colour_they_are_given(pattern: object) -> None:
    assert callable(pattern)
    u, v = torch.rand(4000) * 20, torch.rand(4000) * 20
    factor = pattern(u, v, torch.full((4000,), 0.01), torch.zeros(4000, dtype=torch.int64))
    assert 0.8 < float(factor.mean()) < 1.2
    assert float(factor.min()) > 0
