"""What the engine needs of something that runs graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Tensors = dict[str, npt.NDArray[np.generic]]


class OutOfMemoryError(Exception):
    """The batch did not fit: a smaller one may."""


class DeviceLostError(Exception):
    """The device under the backend is gone: nothing runs until it is rebuilt."""


class TimedOutputs(Tensors):
    """Outputs that know how long the device worked for them, apart from waiting for it."""

    def __init__(self, outputs: Mapping[str, npt.NDArray[np.generic]], device_s: float) -> None:
        super().__init__(outputs)
        self.device_s = device_s


class Backend(Protocol):
    """One graph, loaded. `run` is called from several threads at once."""

    @property
    def buckets(self) -> Sequence[int]:
        """The batch sizes that are really run, in order: others are padded up to the next one.

        Empty where every size is run as it is. The last one is the largest that may be asked for.
        """

    def warm_up(self, sample: Tensors) -> None:
        """Learn from a batch of one how it runs best, and do now what is slow the first time."""

    def run(self, inputs: Tensors, *, alone: bool = False) -> Mapping[str, npt.NDArray[np.generic]]:
        """Outputs by name, each with the batch first; TimedOutputs where batches wait for a device.

        `alone` says that nothing else runs on the device, so that the batch may spread over all
        of it. Raises OutOfMemoryError or DeviceLostError; anything else means that this batch
        cannot be run.
        """

    def rebuild(self) -> None:
        """Load anew after the device was lost; batches that still run keep what they hold."""

    def close(self) -> None:
        """Give the memory back. No `run` is under way, and none follows."""
