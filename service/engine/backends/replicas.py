"""One graph on several GPUs: a batch goes to the one with the fewest under way."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from service.engine.backends.backend import Backend, Tensors


class Replicas:
    """Backends of the same graph. They share one queue: no GPU idles beside another's backlog."""

    def __init__(self, backends: Sequence[Backend]) -> None:
        self._backends = list(backends)
        self._lock = threading.Lock()
        self._under_way = [0] * len(self._backends)

    @property
    def buckets(self) -> Sequence[int]:
        """Those of the one that can do the least."""
        return min((backend.buckets for backend in self._backends), key=len)

    def warm_up(self, sample: Tensors) -> None:
        for backend in self._backends:
            backend.warm_up(sample)

    def run(self, inputs: Tensors, *, alone: bool = False) -> Mapping[str, npt.NDArray[np.generic]]:
        with self._lock:
            chosen = min(range(len(self._backends)), key=lambda index: self._under_way[index])
            self._under_way[chosen] += 1
        try:
            return self._backends[chosen].run(inputs, alone=alone)
        finally:
            with self._lock:
                self._under_way[chosen] -= 1

    def rebuild(self) -> None:
        for backend in self._backends:
            backend.rebuild()

    def close(self) -> None:
        for backend in self._backends:
            backend.close()
