"""The exponential moving average of a network: the weights that are evaluated and shipped."""

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """A copy of a network that follows it: average <- d * average + (1 - d) * network.

    After update t (from 0) d = min(decay, (1 + t) / (10 + t)), so that the first steps are soon
    forgotten. Buffers such as BatchNorm's statistics are averaged too; integer ones are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.updates = 0
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        source = _tensors(network)
        for name, average in _tensors(self.network).items():
            if average.is_floating_point():
                average.lerp_(source[name], 1 - decay)
            else:
                average.copy_(source[name])
        self.updates += 1


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}
