"""What a graph takes and gives, as far as buffers for it can be made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.engine.backends.backend import Tensors


@dataclass(frozen=True)
class Port:
    """One input or output: what a sample of it is; no shape where only a run tells."""

    name: str
    dtype: npt.DTypeLike
    sample: tuple[int, ...] | None

    def size_bytes(self, batch: int) -> int:
        """Of a port that has a shape."""
        assert self.sample is not None
        return int(np.prod((batch, *self.sample), dtype=np.int64)) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Ports:
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def fixed(self) -> bool:
        """Whether every output has its size before it is run."""
        return all(port.sample is not None for port in self.outputs)

    def check(self, inputs: Tensors) -> int:
        """The batch; ValueError unless that is what the graph takes. Copying would bend it."""
        if set(inputs) != {port.name for port in self.inputs}:
            wanted = ", ".join(port.name for port in self.inputs)
            raise ValueError(f"inputs {', '.join(sorted(inputs))} where the graph takes {wanted}")
        batch = len(next(iter(inputs.values())))
        for port in self.inputs:
            value = inputs[port.name]
            if value.dtype != port.dtype or value.shape != (batch, *(port.sample or ())):
                raise ValueError(
                    f"{port.name} is {value.dtype} {value.shape} where the graph takes "
                    f"{np.dtype(port.dtype)} {(batch, *(port.sample or ()))}"
                )
        return batch
