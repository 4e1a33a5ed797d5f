import pytest
import torch

from models.training.sampling import ShuffledEpochs, mix_seed
from models.training.task import Share


def test_every_epoch_is_a_different_permutation() -> None:
    row = ShuffledEpochs(10, seed=1)
    first, second = row.take(0, 10), row.take(10, 10)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(10))
    assert not torch.equal(first, second)


def test_pieces_of_the_row_join_up_in_any_order() -> None:
    whole = ShuffledEpochs(7, seed=2).take(0, 30)
    row = ShuffledEpochs(7, seed=2)
    assert torch.equal(row.take(20, 10), whole[20:])
    assert torch.equal(row.take(3, 17), whole[3:20])


def test_seeds_shuffle_differently() -> None:
    assert not torch.equal(ShuffledEpochs(50, 0).take(0, 50), ShuffledEpochs(50, 1).take(0, 50))


def test_nothing_cannot_be_shuffled() -> None:
    with pytest.raises(ValueError, match="no samples"):
        ShuffledEpochs(0, seed=0)


def test_mixed_seeds_differ_and_fit_a_generator() -> None:
    seeds = {mix_seed(a, b, c) for a in range(12) for b in range(12) for c in range(12)}
    assert len(seeds) == 12**3
    assert mix_seed(1, 2) != mix_seed(2, 1)
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(("length", "count"), [(10, 1), (10, 3), (2, 4), (0, 2)])
def test_shares_cover_everything_once(length: int, count: int) -> None:
    covered = [i for k in range(count) for i in range(length)[Share(k, count).of(length)]]
    assert covered == list(range(length))
