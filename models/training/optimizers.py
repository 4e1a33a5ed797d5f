"""Optimisers by name, over parameters grouped by what decays and how fast each may learn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

OptimizerName = Literal["sgd", "adagrad", "rmsprop", "adam", "adamw"]


@dataclass(frozen=True)
class OptimizerSpec:
    """Which optimiser, and its figures; those that the named one does not know are not read.

    `lr` is the peak that the schedule scales. `weight_decay` is decoupled in `adamw` and part of
    the gradient elsewhere; it spares biases, normalisations and everything else with fewer than
    two dimensions unless `decay_all` is set.
    """

    name: OptimizerName = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.0
    decay_all: bool = False
    momentum: float = 0.9
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    alpha: float = 0.99
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if self.lr <= 0 or self.weight_decay < 0:
            raise ValueError(f"need lr > 0 and weight_decay >= 0, got {self}")
        if self.nesterov and self.momentum <= 0:
            raise ValueError("nesterov needs a momentum above 0")


def build_optimizer(
    spec: OptimizerSpec, network: nn.Module, multipliers: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """An optimiser over the parameters that require a gradient.

    `multipliers` maps parameter names to factors on the learning rate. Every group carries its
    factor as `lr_multiplier`, for the schedule to use.
    """
    groups = _parameter_groups(spec, network, multipliers or {})
    if not groups:
        raise ValueError("nothing to train: every parameter is frozen")
    settings: dict[str, Any] = {"lr": spec.lr, "weight_decay": spec.weight_decay}
    match spec.name:
        case "sgd":
            settings |= {"momentum": spec.momentum, "nesterov": spec.nesterov}
            return torch.optim.SGD(groups, **settings)
        case "adagrad":
            return torch.optim.Adagrad(groups, eps=spec.eps, **settings)
        case "rmsprop":
            settings |= {"alpha": spec.alpha, "momentum": spec.momentum, "eps": spec.eps}
            return torch.optim.RMSprop(groups, **settings)
        case "adam":
            return torch.optim.Adam(groups, betas=spec.betas, eps=spec.eps, **settings)
        case "adamw":
            return torch.optim.AdamW(groups, betas=spec.betas, eps=spec.eps, **settings)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group `lr` times its own multiplier."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_multiplier"]


def _parameter_groups(
    spec: OptimizerSpec, network: nn.Module, multipliers: Mapping[str, float]
) -> list[dict[str, Any]]:
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decays = spec.decay_all or parameter.ndim >= 2
            groups.setdefault((decays, multipliers.get(name, 1.0)), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": spec.lr * multiplier,
            "lr_multiplier": multiplier,
            "weight_decay": spec.weight_decay if decays else 0.0,
        }
        for (decays, multiplier), parameters in groups.items()
    ]
