"""Where the inputs and outputs of a bound graph lie: on a device, and beside it on the host.

`HostMemory` is the processor's own: there a graph is bound as on a GPU, copies and all, so that
the binding can be tried where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


class Pair(Protocol):
    """One tensor twice: `host` is filled or read by us, `address` by the graph."""

    host: Array

    @property
    def address(self) -> int: ...
    def upload(self) -> None:
        """Begin to copy from the host; done when its strand has been waited for."""

    def download(self) -> None:
        """The same in the other direction."""


class Strand(Protocol):
    """An order of copies of its own, beside whatever else the device does."""

    def pair(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Pair:
        """OutOfMemoryError where there is no room for it."""

    def wait(self) -> None:
        """Until all that was begun is done."""


class Memory(Protocol):
    @property
    def device(self) -> str:
        """As ONNX Runtime calls it: cpu or cuda."""

    @property
    def index(self) -> int: ...

    def strand(self) -> Strand: ...


class HostMemory:
    device: Final = "cpu"
    index: Final = 0

    def strand(self) -> Strand:
        return _HostStrand()


class _HostStrand:
    def pair(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Pair:
        return _HostPair(shape, dtype)

    def wait(self) -> None:
        pass


class _HostPair:
    def __init__(self, shape: Sequence[int], dtype: npt.DTypeLike) -> None:
        self.host: Array = np.zeros(shape, dtype)
        self._device: Array = np.zeros(shape, dtype)

    @property
    def address(self) -> int:
        return self._device.ctypes.data

    def upload(self) -> None:
        np.copyto(self._device, self.host)

    def download(self) -> None:
        np.copyto(self.host, self._device)
