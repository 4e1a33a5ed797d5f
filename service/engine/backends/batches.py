"""Batches on a device that runs them in a few sizes, through buffers that stay."""

from __future__ import annotations

import bisect
import itertools
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from service.engine.backends.backend import Tensors, TimedOutputs

REPLAY_TOLERANCE: Final = 1e-3
"""Relative to the largest number: two runs of a GPU may add in another order."""

S = TypeVar("S")
Outputs = Mapping[str, npt.NDArray[np.generic]]


def buckets_up_to(most: int) -> tuple[int, ...]:
    """1, 2, 4, 8 … and `most` itself."""
    powers = itertools.takewhile(lambda size: size < most, (1 << at for at in itertools.count()))
    return (*powers, most)


def bucket_for(batch: int, buckets: Sequence[int]) -> int:
    """The smallest that it fits into."""
    return buckets[bisect.bisect_left(buckets, batch)]


def batch_of(inputs: Tensors) -> int:
    return len(next(iter(inputs.values())))


def in_parts(inputs: Tensors, most: int, run: Callable[[Tensors], TimedOutputs]) -> TimedOutputs:
    """The answer to a batch of any size, no more than `most` at a time."""
    parts = [
        run({name: value[at : at + most] for name, value in inputs.items()})
        for at in range(0, batch_of(inputs), most)
    ]
    if len(parts) == 1:
        return parts[0]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return TimedOutputs(whole, sum(part.device_s for part in parts))


def alike(one: Outputs, other: Outputs) -> bool:
    """Whether a replay answers what a run did."""
    for name, value in one.items():
        expected, found = value.astype(np.float64), other[name].astype(np.float64)
        allowed = REPLAY_TOLERANCE * np.abs(expected).max(initial=1.0)
        if not np.allclose(found, expected, rtol=0.0, atol=allowed, equal_nan=True):
            return False
    return True


class FreeSlots(Generic[S]):
    """What batches under way have for themselves, handed to one after the other."""

    def __init__(self, slots: Sequence[S]) -> None:
        self.every = tuple(slots)
        self._free: queue.LifoQueue[S] = queue.LifoQueue()
        for slot in slots:
            self._free.put(slot)

    @contextmanager
    def one(self) -> Iterator[S]:
        """The one that was used last, whose buffers are in the caches; waits until one is free."""
        slot = self._free.get()
        try:
            yield slot
        finally:
            self._free.put(slot)
