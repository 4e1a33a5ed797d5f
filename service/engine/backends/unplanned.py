"""A graph that waits for its plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from service.bundle import Bundle
from service.engine.backends.backend import Backend, Tensors


class Unplanned:
    """A graph that ONNX Runtime runs, since it has no plan yet, or can have none: `why`."""

    def __init__(self, backend: Backend, bundle: Bundle, role: str, why: str) -> None:
        self.bundle = bundle
        self.role = role
        self.why = why
        self._backend = backend

    @property
    def buckets(self) -> Sequence[int]:
        return self._backend.buckets

    def warm_up(self, sample: Tensors) -> None:
        self._backend.warm_up(sample)

    def run(self, inputs: Tensors, *, alone: bool = False) -> Mapping[str, npt.NDArray[np.generic]]:
        return self._backend.run(inputs, alone=alone)

    def rebuild(self) -> None:
        self._backend.rebuild()

    def close(self) -> None:
        self._backend.close()
