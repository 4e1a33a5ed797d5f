"""What the engine needs of something that runs graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

Tensors = dict[str, npt.NDArray[np.generic]]


class OutOfMemoryError(Exception):
    """The batch did not fit: a smaller one may."""


class DeviceLostError(Exception):
    """The device under the backend is gone: nothing runs until it is rebuilt."""


class Backend(Protocol):
    """One graph, loaded. `run` is called from several threads at once."""

    def run(self, inputs: Tensors, *, alone: bool = False) -> Mapping[str, npt.NDArray[np.generic]]:
        """Outputs by name, each with the batch first.

        `alone` says that nothing else runs on the device, so that the batch may spread over all
        of it. Raises OutOfMemoryError or DeviceLostError; anything else means that this batch
        cannot be run.
        """

    def rebuild(self) -> None:
        """Load anew after the device was lost; batches that still run keep what they hold."""

    def close(self) -> None:
        """Give the memory back. No `run` is under way, and none follows."""
