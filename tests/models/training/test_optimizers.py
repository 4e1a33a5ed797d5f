"""Every optimiser against its formula, written out in numpy."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from models.training.optimizers import OptimizerSpec, build_optimizer, set_learning_rate

Array = npt.NDArray[np.float64]
Rule = Callable[[Array, Array, int, dict[str, Array]], Array]

LR, DECAY = 0.1, 0.01


def sgd_momentum(x: Array, gradient: Array, step: int, memory: dict[str, Array]) -> Array:
    v = memory["v"] = 0.9 * memory.get("v", np.zeros_like(x)) + gradient
    return x - LR * v


def sgd_nesterov(x: Array, gradient: Array, step: int, memory: dict[str, Array]) -> Array:
    v = memory["v"] = 0.9 * memory.get("v", np.zeros_like(x)) + gradient
    return x - LR * (gradient + 0.9 * v)


def adagrad(x: Array, gradient: Array, step: int, memory: dict[str, Array]) -> Array:
    s = memory["s"] = memory.get("s", np.zeros_like(x)) + gradient**2
    return x - LR * gradient / (np.sqrt(s) + 1e-8)


def rmsprop(x: Array, gradient: Array, step: int, memory: dict[str, Array]) -> Array:
    s = memory["s"] = 0.99 * memory.get("s", np.zeros_like(x)) + 0.01 * gradient**2
    return x - LR * gradient / (np.sqrt(s) + 1e-8)


def adam(x: Array, gradient: Array, step: int, memory: dict[str, Array]) -> Array:
    m = memory["m"] = 0.9 * memory.get("m", np.zeros_like(x)) + 0.1 * gradient
    s = memory["s"] = 0.999 * memory.get("s", np.zeros_like(x)) + 0.001 * gradient**2
    return x - LR * (m / (1 - 0.9**step)) / (np.sqrt(s / (1 - 0.999**step)) + 1e-8)


def adamw(x: Array, gradient: Array, step: int, memory: dict[str, Array]) -> Array:
    # The decay is decoupled; PyTorch multiplies it by the learning rate.
    return adam(x * (1 - LR * DECAY), gradient, step, memory)


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        (OptimizerSpec("sgd", lr=LR), sgd_momentum),
        (OptimizerSpec("sgd", lr=LR, nesterov=True), sgd_nesterov),
        (OptimizerSpec("adagrad", lr=LR), adagrad),
        (OptimizerSpec("rmsprop", lr=LR, momentum=0.0), rmsprop),
        (OptimizerSpec("adam", lr=LR), adam),
        (OptimizerSpec("adamw", lr=LR, weight_decay=DECAY), adamw),
    ],
    ids=lambda value: value.__name__ if callable(value) else value.name,
)
def test_steps_follow_the_formula(spec: OptimizerSpec, rule: Rule) -> None:
    # f(x) = sum of x^4 / 4 + x, whose gradient x^3 + 1 nobody has to derive twice.
    network = nn.Linear(3, 2, bias=False).double()
    optimizer = build_optimizer(spec, network)
    x, memory = network.weight.detach().numpy().copy(), {}
    for step in range(1, 6):
        optimizer.zero_grad()
        (network.weight**4 / 4 + network.weight).sum().backward()
        optimizer.step()
        x = rule(x, x**3 + 1, step, memory)
        np.testing.assert_allclose(network.weight.detach().numpy(), x, rtol=1e-9)


def small_network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def decay_by_name(spec: OptimizerSpec, network: nn.Module) -> dict[str, float]:
    names = {parameter: name for name, parameter in network.named_parameters()}
    groups = build_optimizer(spec, network).param_groups
    return {names[p]: group["weight_decay"] for group in groups for p in group["params"]}


def test_biases_and_norms_do_not_decay() -> None:
    decays = decay_by_name(OptimizerSpec("adamw", weight_decay=0.1), small_network())
    assert {name for name, decay in decays.items() if decay} == {"0.weight", "3.weight"}


def test_everything_decays_if_asked() -> None:
    spec = OptimizerSpec("adamw", weight_decay=0.1, decay_all=True)
    assert set(decay_by_name(spec, small_network()).values()) == {0.1}


def test_multipliers_scale_the_rate_of_their_parameters() -> None:
    network = small_network()
    optimizer = build_optimizer(OptimizerSpec("sgd", lr=1.0), network, {"0.weight": 0.25})
    set_learning_rate(optimizer, 0.4)
    rates = {p: group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert rates[network[0].weight] == pytest.approx(0.1)
    assert rates[network[0].bias] == rates[network[3].weight] == 0.4


def test_a_frozen_network_cannot_be_trained() -> None:
    with pytest.raises(ValueError, match="every parameter is frozen"):
        build_optimizer(OptimizerSpec(), small_network().requires_grad_(False))


@pytest.mark.parametrize("changes", [{"lr": 0.0}, {"weight_decay": -1.0}])
def test_impossible_figures_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="need lr > 0"):
        OptimizerSpec(**changes)


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValueError, match="nesterov needs"):
        OptimizerSpec("sgd", momentum=0.0, nesterov=True)


def test_parameters_without_a_gradient_are_left_out() -> None:
    network = small_network()
    network[0].weight.requires_grad_(False)
    groups = build_optimizer(OptimizerSpec(), network).param_groups
    assert all(p is not network[0].weight for group in groups for p in group["params"])
    assert sum(len(group["params"]) for group in groups) == len(list(network.parameters())) - 1
    assert isinstance(build_optimizer(OptimizerSpec(), network), torch.optim.AdamW)
