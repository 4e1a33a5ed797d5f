"""A backend that stops at a gate before it runs: so a test says when a device is busy."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from service.engine.backends.backend import Backend, Tensors

PATIENCE_S = 60.0


class GatedBackend:
    """Any backend, behind a gate: `wait_until_entered`, look, `let_pass`.

    Several may share a `log`, which has the name and the size of each batch in order.
    """

    def __init__(
        self, inner: Backend, name: str = "", log: list[tuple[str, int]] | None = None
    ) -> None:
        self._inner = inner
        self._name = name
        self.log = [] if log is None else log
        self._entered: queue.Queue[int] = queue.Queue()
        self._passes = threading.Semaphore(0)
        self._open = threading.Event()

    def wait_until_entered(self) -> int:
        """The size of the next batch that came to the gate."""
        return self._entered.get(timeout=PATIENCE_S)

    def let_pass(self) -> None:
        self._passes.release()

    def open(self) -> None:
        """From now on, whatever comes passes."""
        self._open.set()
        self._passes.release()

    def run(self, inputs: Tensors, *, alone: bool = False) -> Mapping[str, npt.NDArray[np.generic]]:
        size = len(next(iter(inputs.values())))
        self.log.append((self._name, size))
        self._entered.put(size)
        if not self._open.is_set():
            assert self._passes.acquire(timeout=PATIENCE_S), "nobody opened the gate"
            if self._open.is_set():
                self._passes.release()  # for the next one that stands there
        return self._inner.run(inputs, alone=alone)

    def rebuild(self) -> None:
        self._inner.rebuild()

    def close(self) -> None:
        self._inner.close()
