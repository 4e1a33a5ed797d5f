from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from models.training.transfer import (
    TransferSpec,
    freeze,
    keep_frozen_in_eval,
    learning_rate_multipliers,
)


class Staged(nn.Module):
    """Three stages, each with its BatchNorm, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.body = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.body(self.stem(x)))
        return y

    def stages(self) -> Sequence[Sequence[str]]:
        names = [name for name, _ in self.named_parameters()]
        return [[n for n in names if n.startswith(s)] for s in ("stem", "body", "head")]


def train_a_little(network: nn.Module) -> None:
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        network.train()
        keep_frozen_in_eval(network)
        network(torch.randn(8, 4) + 2).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("key", [0, -3, "stem"])
def test_a_frozen_stage_keeps_weights_and_statistics(key: int | str) -> None:
    network = Staged()
    freeze(network, TransferSpec(frozen=(key,)))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train_a_little(network)
    changed = {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}
    assert not any(name.startswith("stem") for name in changed)
    assert {"body.0.weight", "body.1.running_mean", "head.weight"} <= changed


def test_every_batchnorm_can_be_frozen() -> None:
    network = Staged()
    freeze(network, TransferSpec(freeze_batchnorm=True))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train_a_little(network)
    changed = {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}
    assert not any(".1." in name for name in changed)
    assert {"stem.0.weight", "body.0.weight"} <= changed


def test_stage_decay_slows_the_early_stages() -> None:
    factors = learning_rate_multipliers(Staged(), TransferSpec(stage_decay=0.5))
    assert factors["head.weight"] == 1.0
    assert factors["body.0.bias"] == 0.5
    assert factors["stem.1.weight"] == 0.25


def test_multipliers_by_index_and_prefix_multiply() -> None:
    spec = TransferSpec(lr_multipliers={-1: 10.0, "body.0": 0.1}, stage_decay=0.5)
    factors = learning_rate_multipliers(Staged(), spec)
    assert factors["head.weight"] == 10.0
    assert factors["body.0.weight"] == pytest.approx(0.05)
    assert factors["body.1.weight"] == 0.5


def test_a_stage_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="no stage 3: the network has 3"):
        freeze(Staged(), TransferSpec(frozen=(3,)))
    with pytest.raises(ValueError, match="starts with 'neck'"):
        freeze(Staged(), TransferSpec(frozen=("neck",)))


def test_a_network_without_stages_takes_prefixes_only() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    freeze(network, TransferSpec(frozen=("0.",)))
    assert [p.requires_grad for p in network.parameters()] == [False, False, True, True]
    with pytest.raises(ValueError, match="names no stages"):
        freeze(network, TransferSpec(frozen=(0,)))
