"""Shuffled batches of a data set, addressed by step: what every family draws from."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import torch
from torch import Generator, Tensor

from models.training.sampling import ShuffledEpochs, mix_seed
from models.training.task import Batch, Share


class Samples(Protocol):
    """A data set that says in words what it is."""

    @property
    def description(self) -> str: ...

    def __len__(self) -> int: ...


SamplesT = TypeVar("SamplesT", bound=Samples)
T = TypeVar("T")


class ShuffledBatches(ABC, Generic[SamplesT]):
    """A `BatchSource` over `samples`; a family says how it makes a batch of some of them."""

    def __init__(self, samples: SamplesT, *, batch_size: int, seed: int) -> None:
        self.samples = samples
        self._batch_size = batch_size
        self._seed = seed
        self._epochs = ShuffledEpochs(len(samples), seed)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def description(self) -> str:
        return self.samples.description

    def batch(self, step: int, share: Share) -> Batch:
        """This share of the step's batch; the same step, share and seed give the same."""
        indices = self._epochs.take(step * self._batch_size, self._batch_size)
        # 1 and 2 keep these seeds apart from the epochs' (seed, epoch).
        generator = torch.Generator().manual_seed(mix_seed(self._seed, step, share.index, 1))
        return self.make(step, indices[share.of(self._batch_size)], generator)

    @abstractmethod
    def make(self, step: int, indices: Tensor, generator: Generator) -> Batch:
        """The samples int64 [B], augmented by what `generator` draws."""

    def choose(self, step: int, among: Sequence[T]) -> T:
        """One of several by lot, the same for every share of the step."""
        return among[mix_seed(self._seed, step, 2) % len(among)]
