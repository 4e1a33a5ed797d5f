"""Batches from a source to the device, fetched ahead where the recipe asks for workers."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from models.training.task import Batch, BatchSource, Share


class Passes(Dataset[Batch]):
    """The passes that one process makes, as a map-style data set that a DataLoader can fetch.

    A batch is split over processes, and each process's share into `accumulate` passes.
    """

    def __init__(self, source: BatchSource, process: Share, accumulate: int) -> None:
        self.accumulate = accumulate
        self._source = source
        self._process = process

    def __getitem__(self, position: int) -> Batch:
        step, index = divmod(position, self.accumulate)
        count = self._process.count
        return self._source.batch(
            step, Share(index * count + self._process.index, self.accumulate * count)
        )


def load_steps(
    passes: Passes, steps: range, *, workers: int, pinned: bool
) -> Iterator[list[Batch]]:
    """The passes of each of these steps."""
    count = passes.accumulate
    # Forked workers share a mapped data set, which spawned ones would each be sent a copy of.
    forked = {"multiprocessing_context": "fork", "prefetch_factor": 4}
    loader = DataLoader(
        passes,
        batch_size=None,
        sampler=range(steps.start * count, steps.stop * count),
        num_workers=workers,
        pin_memory=pinned,
        **(forked if workers else {}),  # type: ignore[arg-type] # one dict, two types
    )
    fetched = iter(loader)
    for first in fetched:
        yield [first, *(next(fetched) for _ in range(count - 1))]


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move every tensor of a nesting."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return type(batch)(to_device(value, device) for value in batch)
    return batch
