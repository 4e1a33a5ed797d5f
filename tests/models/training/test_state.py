from pathlib import Path

import pytest
import torch
from torch import nn

from models.training.checkpoint import CheckpointError
from models.training.optimizers import OptimizerSpec, build_optimizer
from models.training.state import load_state, restore_optimizer, save_state


@pytest.mark.parametrize("name", ["sgd", "adagrad", "rmsprop", "adam", "adamw"])
def test_an_optimizer_goes_on_where_it_was(tmp_path: Path, name: str) -> None:
    def step(network: nn.Conv2d, optimizer: torch.optim.Optimizer, seed: int) -> None:
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        network(x).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    def fresh() -> tuple[nn.Conv2d, torch.optim.Optimizer]:
        torch.manual_seed(0)
        network = nn.Conv2d(3, 4, 3)
        network.to(memory_format=torch.channels_last)
        return network, build_optimizer(OptimizerSpec(name), network)

    first, optimizer = fresh()
    for seed in range(3):
        step(first, optimizer, seed)
    state = {"optimizer": optimizer.state_dict(), "network": dict(first.state_dict())}
    save_state(tmp_path, state)

    loaded = load_state(tmp_path)
    second, resumed = fresh()
    second.load_state_dict(loaded["network"])
    restore_optimizer(resumed, loaded["optimizer"])
    step(first, optimizer, 3)
    step(second, resumed, 3)
    assert torch.equal(first.weight, second.weight) and torch.equal(first.bias, second.bias)


def test_nested_values_come_back(tmp_path: Path) -> None:
    state = {"step": 3, "best": None, "rates": [0.1, 0.2], "by_index": {0: torch.ones(2), 1: {}}}
    save_state(tmp_path, state)
    loaded = load_state(tmp_path)
    assert loaded["step"] == 3 and loaded["best"] is None and loaded["rates"] == [0.1, 0.2]
    assert torch.equal(loaded["by_index"][0], torch.ones(2)) and loaded["by_index"][1] == {}


def test_only_the_state_itself_is_left_in_the_folder(tmp_path: Path) -> None:
    save_state(tmp_path, {"a": torch.zeros(1)})
    save_state(tmp_path, {"a": torch.ones(1)})
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]
    assert load_state(tmp_path)["a"] == 1


def test_a_missing_state_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing to resume"):
        load_state(tmp_path)
