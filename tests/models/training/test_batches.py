import torch
from torch import Generator, Tensor

from models.training.batches import ShuffledBatches
from models.training.sampling import ShuffledEpochs
from models.training.task import Share


class Numbers:
    description = "ten numbers"

    def __len__(self) -> int:
        return 10


class NumberBatches(ShuffledBatches[Numbers]):
    def make(self, step: int, indices: Tensor, generator: Generator) -> tuple[Tensor, Tensor, str]:
        return indices, torch.rand(len(indices), generator=generator), self.choose(step, "abc")


def batches(seed: int = 0) -> NumberBatches:
    return NumberBatches(Numbers(), batch_size=4, seed=seed)


def test_shares_make_up_the_step_and_draw_by_themselves() -> None:
    whole, _, letter = batches().batch(3, Share())
    parts = [batches().batch(3, Share(i, 2)) for i in range(2)]
    assert torch.equal(torch.cat([indices for indices, _, _ in parts]), whole)
    assert torch.equal(whole, ShuffledEpochs(10, 0).take(12, 4))
    assert {chosen for _, _, chosen in parts} == {letter}
    assert not torch.equal(parts[0][1], parts[1][1])


def test_the_same_step_and_seed_give_the_same() -> None:
    for one, other in zip(batches().batch(7, Share()), batches().batch(7, Share()), strict=True):
        assert torch.equal(one, other) if isinstance(one, Tensor) else one == other
    drawn = [batches(seed).batch(step, Share())[1] for seed, step in ((0, 7), (0, 8), (1, 7))]
    assert not torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_every_choice_comes() -> None:
    assert {batches().batch(step, Share())[2] for step in range(40)} == set("abc")


def test_it_says_what_it_draws_from() -> None:
    assert (len(batches()), batches().description) == (10, "ten numbers")
