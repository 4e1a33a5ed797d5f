"""From one library's names of parameters to another's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from torch import Tensor

from exporters.checkpoints.files import Weights
from exporters.errors import CheckpointError

#: A regular expression that a whole name must match, and what it becomes.
Rule = tuple[str, str]

_SHOWN: Final = 4


def rename(weights: Mapping[str, Tensor], rules: Sequence[Rule], *, layout: str) -> Weights:
    """Every tensor under its new name, by the first rule that fits; an empty name drops it.

    CheckpointError where no rule fits a name: the file is of another layout.
    """
    compiled = [(re.compile(pattern), target) for pattern, target in rules]
    renamed: Weights = {}
    unknown = []
    for name, tensor in weights.items():
        for pattern, target in compiled:
            if found := pattern.fullmatch(name):
                if target:
                    renamed[found.expand(target)] = tensor
                break
        else:
            unknown.append(name)
    if unknown:
        raise CheckpointError(f"{layout} has no {_few(unknown)}: is the file of another layout?")
    return renamed


def find(weights: Mapping[str, Tensor], name: str, *, layout: str) -> Tensor:
    """The tensor of that (new) name, which the layout cannot do without."""
    if name not in weights:
        raise CheckpointError(f"the file lacks what becomes {name}: it is no {layout}")
    return weights[name]


def check_fit(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], *, layout: str) -> None:
    """CheckpointError unless the weights are exactly those of a network's state dict."""
    missing = sorted(set(own) - set(weights))
    beyond = sorted(set(weights) - set(own))
    misfits = [
        f"{name} {tuple(weights[name].shape)}, not {tuple(own[name].shape)}"
        for name in own
        if name in weights and own[name].shape != weights[name].shape
    ]
    said = [
        f"{what} {_few(names)}"
        for what, names in (("lacks", missing), ("has beyond it", beyond), ("misfits in", misfits))
        if names
    ]
    if said:
        raise CheckpointError(f"the file does not fit {layout}: it {'; it '.join(said)}")


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
