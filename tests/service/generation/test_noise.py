from __future__ import annotations

import numpy as np
from scipy import stats

from service.generation.noise import DRAWN_SEEDS, MAX_SEED, Noise, draw_seed

SHAPE = (4, 16, 16)


def numbers(seed: int, index: int, times: int = 1) -> np.ndarray:
    noise = Noise(seed, index, SHAPE)
    return np.stack([noise() for _ in range(times)])


def test_the_same_seed_and_index_give_the_same_numbers() -> None:
    np.testing.assert_array_equal(numbers(7, 2, times=3), numbers(7, 2, times=3))
    assert numbers(7, 2).dtype == np.float32


def test_it_is_standard_normal() -> None:
    drawn = np.concatenate([numbers(seed, index, 4) for seed in range(5) for index in range(5)])
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 0.01


def test_neighbouring_seeds_indices_and_steps_have_nothing_to_do_with_each_other() -> None:
    streams = [numbers(seed, index, 2).reshape(2, -1) for seed in (0, 1, 2) for index in (0, 1, 2)]
    rows = np.concatenate(streams)
    alike = np.corrcoef(rows) - np.eye(len(rows))
    # Of 153 pairs of 1024 numbers each, none is correlated by four standard deviations.
    assert np.abs(alike).max() < 4 / np.sqrt(rows.shape[1])


def test_the_largest_seed_is_taken() -> None:
    assert np.isfinite(numbers(MAX_SEED, 2**31 - 1)).all()


def test_what_a_seed_paints_stays_the_same_from_release_to_release() -> None:
    """NumPy's Philox, keyed with seed and index, through its ziggurat of float32."""
    philox = np.random.Philox(key=np.array([7, 2], np.uint64))
    expected = np.random.Generator(philox).standard_normal(SHAPE, dtype=np.float32)
    np.testing.assert_array_equal(numbers(7, 2)[0], expected)
    first = [round(float(x), 4) for x in expected.ravel()[:3]]
    assert first == [-0.0048, -0.1787, -0.6984]


def test_seeds_that_are_drawn_differ_and_are_short() -> None:
    seeds = {draw_seed() for _ in range(100)}
    assert len(seeds) > 95
    assert all(0 <= seed < DRAWN_SEEDS for seed in seeds)
