import numpy as np
import pytest
import torch
from torch import nn

from models.training.weight_average import WeightAverage


def test_the_average_follows_its_formula() -> None:
    network = nn.Linear(3, 2)
    average = WeightAverage(network, decay=0.8)
    expected = network.weight.detach().numpy().astype(np.float64)
    for update in range(60):
        with torch.no_grad():
            network.weight.copy_(torch.randn(2, 3))
        average.update(network)
        decay = min(0.8, (1 + update) / (10 + update))
        expected = decay * expected + (1 - decay) * network.weight.detach().numpy()
    found = average.network.weight.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_buffers_are_averaged_and_counters_copied() -> None:
    network = nn.BatchNorm1d(2)
    average = WeightAverage(network, decay=0.5)
    network.train()(torch.randn(8, 2) + 4)
    average.update(network)
    followed = average.network
    assert isinstance(followed, nn.BatchNorm1d)
    assert followed.running_mean is not None and network.running_mean is not None
    torch.testing.assert_close(followed.running_mean, 0.9 * network.running_mean)
    assert followed.num_batches_tracked == 1


def test_the_copy_is_for_evaluation() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    average = WeightAverage(network.train(), decay=0.9)
    assert not average.network.training
    assert not any(p.requires_grad for p in average.network.parameters())


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_an_impossible_decay_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="decay"):
        WeightAverage(nn.Linear(1, 1), decay)
