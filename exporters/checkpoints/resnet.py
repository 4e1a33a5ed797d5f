"""ResNets: which one a state dict holds, and its batch normalisation as ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from exporters.checkpoints.files import Weights
from exporters.errors import CheckpointError

#: Blocks of each stage, and whether they are bottlenecks -> timm's name.
_NAMES: Final[Mapping[tuple[tuple[int, ...], bool], str]] = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}

OUR_EPS: Final = 1e-5


def name_resnet(weights: Mapping[str, Tensor], prefix: str) -> str:
    """timm's name for the ResNet whose tensors begin with `prefix`."""
    blocks = [
        len({n.split(".")[0] for n in _under(weights, f"{prefix}layer{stage}.")})
        for stage in (1, 2, 3, 4)
    ]
    is_bottleneck = f"{prefix}layer1.0.conv3.weight" in weights
    name = _NAMES.get((tuple(blocks), is_bottleneck))
    if name is None:
        raise CheckpointError(f"{prefix} holds no ResNet that is known: its blocks are {blocks}")
    return name


def unfreeze_batchnorm(weights: Weights, *, eps: float) -> Weights:
    """Frozen BatchNorms with another ε, as BatchNorms with ours, that answer the same.

    y = (x - mean) / sqrt(var + eps) * weight + bias does not change where the weight takes the
    quotient of the roots. Frozen ones do not count batches: ours have seen none.
    """
    changed = dict(weights)
    for name, variance in weights.items():
        if not name.endswith(".running_var"):
            continue
        norm = name.removesuffix("running_var")
        if eps != OUR_EPS:
            ratio = ((variance.double() + OUR_EPS) / (variance.double() + eps)).sqrt()
            changed[f"{norm}weight"] = (weights[f"{norm}weight"].double() * ratio).float()
        changed.setdefault(f"{norm}num_batches_tracked", torch.zeros((), dtype=torch.int64))
    return changed


def _under(weights: Mapping[str, Tensor], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in weights if name.startswith(prefix)]
