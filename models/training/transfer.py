"""Transfer learning: what stays frozen, and how fast each stage of a network may learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

#: The names of the parameters of each stage, from the input to the head.
Stages = Sequence[Sequence[str]]


class Staged(Protocol):
    """A network that knows its stages."""

    def stages(self) -> Stages: ...


@dataclass(frozen=True)
class TransferSpec:
    """A stage is named by its index (0 the stem, -1 the head) or by a prefix of parameter names.

    `frozen` stages do not learn, and their BatchNorms stay in evaluation mode, statistics
    included; `freeze_batchnorm` extends that to every BatchNorm. `lr_multipliers` scale a stage's
    learning rate. `stage_decay` does so for all: the head has 1, and each stage before it this
    much less than the next.
    """

    frozen: tuple[int | str, ...] = ()
    freeze_batchnorm: bool = False
    lr_multipliers: Mapping[int | str, float] = field(default_factory=dict)
    stage_decay: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.stage_decay <= 1:
            raise ValueError(f"stage_decay must be in (0, 1], got {self.stage_decay}")


def freeze(network: nn.Module, spec: TransferSpec) -> None:
    """Stop the gradients of the frozen stages. Call `keep_frozen_in_eval` after every `train()`."""
    frozen = {name for key in spec.frozen for name in _named_by(key, network)}
    for name, parameter in network.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    if spec.freeze_batchnorm:
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.requires_grad_(False)


def keep_frozen_in_eval(network: nn.Module) -> None:
    """Put the BatchNorms whose parameters are frozen into evaluation mode."""
    for module in network.modules():
        if isinstance(module, _BatchNorm) and not all(p.requires_grad for p in module.parameters()):
            module.eval()


def learning_rate_multipliers(network: nn.Module, spec: TransferSpec) -> dict[str, float]:
    """The factor on the learning rate of each parameter that does not have 1."""
    multipliers: dict[str, float] = {}
    if spec.stage_decay != 1:
        stages = _stages(network)
        for index, names in enumerate(stages):
            factor = spec.stage_decay ** (len(stages) - 1 - index)
            multipliers |= dict.fromkeys(names, factor)
    for key, factor in spec.lr_multipliers.items():
        for name in _named_by(key, network):
            multipliers[name] = multipliers.get(name, 1.0) * factor
    return multipliers


def _named_by(key: int | str, network: nn.Module) -> list[str]:
    if isinstance(key, str):
        names = [name for name, _ in network.named_parameters() if name.startswith(key)]
        if not names:
            raise ValueError(f"no parameter's name starts with {key!r}")
        return names
    stages = _stages(network)
    if not -len(stages) <= key < len(stages):
        raise ValueError(f"there is no stage {key}: the network has {len(stages)}")
    return list(stages[key])


def _stages(network: nn.Module) -> Stages:
    find = getattr(network, "stages", None)
    if find is None:
        raise ValueError(f"{type(network).__name__} names no stages: use prefixes of parameters")
    stages: Stages = find()
    return stages
