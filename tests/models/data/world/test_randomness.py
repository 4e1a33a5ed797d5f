"""Random numbers that are addressed, not drawn in turn."""

import numpy as np
import pytest
import torch
from scipy import stats

from models.data.world.randomness import Draws, mix


def mix_in_plain_python(word: int) -> int:
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        word ^= word >> shift
        word = word * factor % 2**32
    return word ^ (word >> 15)


def test_mixing_agrees_with_unbounded_integers() -> None:
    words = [0, 1, 2, 0xFFFFFFFF, 0x80000000, 123456789]
    assert mix(torch.tensor(words)).tolist() == [mix_in_plain_python(word) for word in words]


def test_a_scene_draws_the_same_whatever_its_batch() -> None:
    together = Draws(7, torch.arange(100)).uniform("size", 3)
    alone = Draws(7, torch.tensor([41])).uniform("size", 3)
    assert torch.equal(together[41:42], alone)


def test_more_draws_for_a_purpose_leave_the_first_as_they_were() -> None:
    draws = Draws(7, torch.arange(5))
    assert torch.equal(draws.uniform("size", 9)[:, :4], draws.uniform("size", 4))


@pytest.mark.parametrize("other", [(8, 0, "a"), (7 + 2**32, 0, "a"), (7, 2**32, "a"), (7, 0, "b")])
def test_seed_scene_and_purpose_each_change_the_draw(other: tuple[int, int, str]) -> None:
    seed, first, purpose = other
    here = Draws(7, torch.arange(64)).words("a")
    there = Draws(seed, torch.arange(64) + first).words(purpose)
    assert not (here == there).any()


def test_uniform_numbers_are_uniform_over_scenes_and_over_draws() -> None:
    for numbers in (
        Draws(3, torch.arange(20_000)).uniform("x"),
        Draws(3, torch.tensor([5])).uniform("x", 20_000)[0],
    ):
        assert stats.kstest(numbers.numpy(), "uniform").pvalue > 1e-3


def test_neighbouring_scenes_are_not_correlated() -> None:
    numbers = Draws(3, torch.arange(20_000)).uniform("x").numpy()
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.03


def test_integers_take_every_value_equally_often() -> None:
    drawn = Draws(3, torch.arange(20_000)).integers("x", 8)
    assert stats.chisquare(torch.bincount(drawn, minlength=8).numpy()).pvalue > 1e-3
