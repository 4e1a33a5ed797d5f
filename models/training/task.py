"""What a family of models hands to the trainer: its network, its data, its loss, its measure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

#: Tensors in any nesting of dicts, lists and tuples.
Batch = Any


@dataclass(frozen=True)
class Share:
    """Which part of a batch, or of a data set, a process takes: part `index` of `count`."""

    index: int = 0
    count: int = 1

    def of(self, length: int) -> slice:
        """The share as a slice: contiguous, all lengths within one of each other."""
        start = self.index * length // self.count
        return slice(start, (self.index + 1) * length // self.count)


@dataclass(frozen=True)
class Place:
    """Where an evaluation runs: on which device, for which share of the data."""

    device: torch.device
    share: Share = Share()
    #: Adds a tensor up over all processes.
    total: Callable[[Tensor], Tensor] = lambda tensor: tensor


@dataclass(frozen=True)
class Goal:
    """The measure by which one checkpoint is better than another."""

    metric: str
    direction: Literal["max", "min"] = "max"

    def reaches(self, value: float, best: float | None) -> bool:
        """Whether a value is at least as good: of two equals the one trained longer is kept."""
        if best is None:
            return not math.isnan(value)
        return value >= best if self.direction == "max" else value <= best


class BatchSource(Protocol):
    """Training data, addressed by step: the same step, share and seed give the same batch.

    So nothing about the data has to be saved to resume a run. Batches are made in worker
    processes where the recipe asks for some.
    """

    def __len__(self) -> int:
        """How many samples make an epoch."""
        ...

    def batch(self, step: int, share: Share) -> Batch:
        """This share of the step's global batch, on the CPU."""
        ...


class Task(Protocol):
    """One family's side of a training run. The trainer knows nothing else about it."""

    @property
    def network(self) -> nn.Module: ...

    @property
    def data(self) -> BatchSource: ...

    @property
    def goal(self) -> Goal: ...

    def loss(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Scalars, each a mean over the samples; `loss` is the one to minimise.

        Call `network`, not `self.network`: it may be wrapped to run on many processes.
        """
        ...

    def evaluate(self, network: nn.Module, place: Place) -> dict[str, float]:
        """Measure `network`, in evaluation mode, on the validation data; all processes agree."""
        ...

    def checkpoint(self) -> dict[str, Any]:
        """What `spec.json` says beside metrics and provenance: at least `kind` and `spec`."""
        ...

    def is_kept(self, name: str) -> bool:
        """Whether a tensor of the state dict belongs in the checkpoint."""
        ...
