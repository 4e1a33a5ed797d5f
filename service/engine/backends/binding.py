"""One graph bound to buffers of one batch size: filled, run, read.

B the bucket, b <= B the samples in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from service.engine.backends.backend import Tensors
from service.engine.backends.memory import Memory, Pair, Strand
from service.engine.backends.ports import Port, Ports

DTYPES: Final[Mapping[str, npt.DTypeLike]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


class UnboundError(Exception):
    """The graph has an input whose size behind the batch is not known beforehand."""


def ports_of(session: ort.InferenceSession) -> Ports:
    """UnboundError where the inputs cannot be given buffers."""
    ports = Ports(
        tuple(_port_of(each) for each in session.get_inputs()),
        tuple(_port_of(each) for each in session.get_outputs()),
    )
    for port in ports.inputs:
        if port.sample is None:
            raise UnboundError(f"the size of {port.name} is not known beforehand")
    return ports


def _port_of(argument: Any) -> Port:
    sizes = argument.shape[1:]
    known = len(argument.shape) > 0 and all(isinstance(size, int) for size in sizes)
    return Port(argument.name, DTYPES[argument.type], tuple(sizes) if known else None)


class Binding:
    """Buffers of one bucket that stay where they are, and the graph bound to them."""

    def __init__(
        self, session: ort.InferenceSession, ports: Ports, memory: Memory, strand: Strand, size: int
    ) -> None:
        self._ports = ports
        self._strand = strand
        self._size = size
        self._inputs = {
            port.name: strand.pair((size, *(port.sample or ())), port.dtype)
            for port in ports.inputs
        }
        self._outputs = {
            port.name: strand.pair((size, *port.sample), port.dtype)
            for port in ports.outputs
            if port.sample is not None
        }
        self._bound = session.io_binding()
        for name, pair in self._inputs.items():
            self._bound.bind_input(name, memory.device, memory.index, *_described(pair))
        for port in ports.outputs:
            if (pair_out := self._outputs.get(port.name)) is not None:
                self._bound.bind_output(
                    port.name, memory.device, memory.index, *_described(pair_out)
                )
            else:  # ONNX Runtime makes room for it on the host, as large as it turns out
                self._bound.bind_output(port.name)

    def fill(self, inputs: Tensors, batch: int) -> None:
        """Copy a batch in. What is left over of the bucket repeats its first sample.

        Not zeros, nor what lay there: a sample that the graph fails on must fail alone.
        """
        for name, pair in self._inputs.items():
            np.copyto(pair.host[:batch], inputs[name])
            pair.host[batch:] = inputs[name][:1]
            pair.upload()
        self._strand.wait()

    def run(self, session: ort.InferenceSession, options: ort.RunOptions | None = None) -> None:
        session.run_with_iobinding(self._bound, options)

    def read(self, batch: int) -> Tensors:
        """The outputs of the samples that were put in: arrays that are the caller's."""
        for pair in self._outputs.values():
            pair.download()
        self._strand.wait()
        found = {name: pair.host[:batch].copy() for name, pair in self._outputs.items()}
        if len(found) < len(self._ports.outputs):
            grown = self._bound.get_outputs()
            for port, value in zip(self._ports.outputs, grown, strict=True):
                if port.name not in found:
                    found[port.name] = self._cut(port.name, value.numpy(), batch)
        return {port.name: found[port.name] for port in self._ports.outputs}

    def _cut(
        self, name: str, value: npt.NDArray[np.generic], batch: int
    ) -> npt.NDArray[np.generic]:
        """Only a batch has padding to cut off: anything else would lose what is not padding."""
        if value.shape[:1] != (self._size,):
            raise ValueError(f"{name} is {value.shape} for {self._size} samples")
        return value[:batch].copy()


def _described(pair: Pair) -> tuple[npt.DTypeLike, Sequence[int], int]:
    return pair.host.dtype, pair.host.shape, pair.address
