"""A plan as an engine on the device, and a slot: a context, a stream and buffers of its own.

B the bucket that is run, b <= B the samples in it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from service.bundle import Graph, TensorSpec
from service.engine.backends.backend import OutOfMemoryError, Tensors
from service.engine.backends.cuda_memory import CapturedWork, DeviceBuffer, PinnedBuffer, Stream
from service.engine.backends.ports import Port, Ports
from service.engine.plans.tensorrt import PlanError, TensorRt


class Engine:
    """A plan, deserialised. PlanError where it is not the plan of this graph."""

    def __init__(self, trt: TensorRt, plan: bytes, graph: Graph) -> None:
        self.trt = trt
        trt.complaints.take()
        self.handle: Any = trt.runtime.deserialize_cuda_engine(plan)
        if self.handle is None:
            raise PlanError(f"TensorRT does not take the plan: {trt.complaints.take()}")
        self.ports = Ports(
            tuple(_port_of(spec) for spec in graph.inputs),
            tuple(_port_of(spec) for spec in graph.outputs),
        )
        self._hold_to_the_manifest()

    def _hold_to_the_manifest(self) -> None:
        modes = self.trt.module.TensorIOMode
        there = {
            name: (
                self.handle.get_tensor_mode(name) == modes.INPUT,
                np.dtype(self.trt.module.nptype(self.handle.get_tensor_dtype(name))),
            )
            for index in range(self.handle.num_io_tensors)
            for name in [self.handle.get_tensor_name(index)]
        }
        wanted = {port.name: (True, np.dtype(port.dtype)) for port in self.ports.inputs}
        wanted |= {port.name: (False, np.dtype(port.dtype)) for port in self.ports.outputs}
        if there != wanted:
            differing = sorted(
                name for name in {*there, *wanted} if there.get(name) != wanted.get(name)
            )
            raise PlanError(f"the plan's {', '.join(differing)} is not as the manifest says")


class Slot:
    """What one batch under way has for itself. One thread uses it at a time."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine = engine
        self._stream = Stream()
        self._context: Any = engine.handle.create_execution_context()
        if self._context is None:
            raise OutOfMemoryError(f"no execution context: {engine.trt.complaints.take()}")
        self._recordings: dict[int, CapturedWork] = {}
        self._set_shapes(most)
        self._inputs = {port: _Pair(port.size_bytes(most)) for port in engine.ports.inputs}
        fixed = [port for port in engine.ports.outputs if self._is_fixed(port, most)]
        self._outputs = {port: _Pair(port.size_bytes(most)) for port in fixed}
        self._growing = {
            port: allocator_of(engine.trt)
            for port in engine.ports.outputs
            if port not in self._outputs
        }
        for port, pair in (*self._inputs.items(), *self._outputs.items()):
            self._context.set_tensor_address(port.name, pair.device.pointer)
        for port, allocator in self._growing.items():
            self._context.set_output_allocator(port.name, allocator)

    @property
    def open_ended(self) -> bool:
        """Some output is as large as the data make it: that cannot be recorded."""
        return bool(self._growing)

    def fill(self, inputs: Tensors, batch: int, size: int) -> None:
        """Copy a batch in. What is left over of the bucket repeats its first sample: a sample that
        the graph fails on must fail alone."""
        for port, pair in self._inputs.items():
            assert port.sample is not None
            host = pair.host.view((size, *port.sample), port.dtype)
            np.copyto(host[:batch], inputs[port.name])
            host[batch:] = inputs[port.name][:1]
            self._stream.upload(pair.device, pair.host, port.size_bytes(size))
        self._stream.wait()

    def launch(self, size: int) -> None:
        """Run what was filled in, and wait for it."""
        if (recording := self._recordings.get(size)) is not None:
            recording.launch(self._stream)
        else:
            self._enqueue(size)
        self._stream.wait()

    def record(self, size: int) -> None:
        """From now on this bucket is replayed. It must have run once: TensorRT prepares then."""
        with self._stream.capture() as work:
            self._enqueue(size)
        self._recordings[size] = work

    def read(self, batch: int, size: int) -> Tensors:
        """The outputs of the samples that were put in: arrays that are the caller's."""
        for port, pair in self._outputs.items():
            self._stream.download(pair.host, pair.device, port.size_bytes(size))
        for allocator in self._growing.values():
            allocator.download(self._stream)
        self._stream.wait()
        found = {}
        for port in self._engine.ports.outputs:
            if port in self._growing:
                value = self._growing[port].read(port.dtype)
                if value.shape[:1] != (size,):  # only a batch has padding to cut off
                    raise ValueError(f"{port.name} is {value.shape} for {size} samples")
            else:
                assert port.sample is not None
                value = self._outputs[port].host.view((size, *port.sample), port.dtype)
            found[port.name] = value[:batch].copy()
        return found

    def forget_recordings(self) -> None:
        for recording in self._recordings.values():
            recording.close()
        self._recordings.clear()

    def close(self) -> None:
        """Recordings and context first: they know the buffers' addresses."""
        self.forget_recordings()
        self._context = None
        for pair in (*self._inputs.values(), *self._outputs.values()):
            pair.close()
        for allocator in self._growing.values():
            allocator.close()
        self._stream.close()

    # --

    def _is_fixed(self, port: Port, most: int) -> bool:
        shape = tuple(self._context.get_tensor_shape(port.name))
        if -1 in shape or port.sample is None:
            return False
        if shape != (most, *port.sample):
            raise PlanError(f"the plan's {port.name} is {shape}, not {(most, *port.sample)}")
        return True

    def _set_shapes(self, size: int) -> None:
        for port in self._engine.ports.inputs:
            if not self._context.set_input_shape(port.name, (size, *(port.sample or ()))):
                raise PlanError(f"the plan does not take {size} of {port.name}")

    def _enqueue(self, size: int) -> None:
        self._engine.trt.complaints.take()
        self._set_shapes(size)
        if not self._context.execute_async_v3(int(self._stream.handle)):
            for allocator in self._growing.values():
                allocator.raise_failure()
            raise PlanError(f"the plan did not run: {self._engine.trt.complaints.take()}")


def _port_of(spec: TensorSpec) -> Port:
    sizes = [axis for axis in spec.shape[1:] if isinstance(axis, int)]
    known = len(sizes) == len(spec.shape) - 1
    return Port(spec.name, np.dtype(spec.dtype), tuple(sizes) if known else None)


class _Pair:
    """One tensor on both sides."""

    def __init__(self, size_bytes: int) -> None:
        self.device = DeviceBuffer(size_bytes)
        self.host = PinnedBuffer(size_bytes)

    def close(self) -> None:
        self.device.close()
        self.host.close()


def allocator_of(trt: TensorRt) -> Any:
    """Room for an output whose size only a run tells: it grows, and stays for the next run."""

    class Allocator(trt.module.IOutputAllocator):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self._pair: _Pair | None = None
            self._failure: Exception | None = None
            self.shape: tuple[int, ...] = ()

        def reallocate_output_async(
            self, name: str, memory: int, size: int, alignment: int, stream: int
        ) -> int:
            try:
                if self._pair is None or self._pair.device.size_bytes < size:
                    self.close()
                    self._pair = _Pair(size)
                return self._pair.device.pointer
            except Exception as error:  # which must not pass through TensorRT
                self._failure = error
                return 0

        def reallocate_output(self, name: str, memory: int, size: int, alignment: int) -> int:
            return self.reallocate_output_async(name, memory, size, alignment, 0)

        def notify_shape(self, name: str, shape: Any) -> None:
            self.shape = tuple(shape)

        def raise_failure(self) -> None:
            failure, self._failure = self._failure, None
            if failure is not None:
                raise failure

        def download(self, stream: Stream) -> None:
            if self._pair is not None:
                stream.download(self._pair.host, self._pair.device, self._pair.host.size_bytes)

        def read(self, dtype: np.dtype[np.generic]) -> npt.NDArray[np.generic]:
            if self._pair is None:
                return np.empty(self.shape, dtype)
            return self._pair.host.view(self.shape, dtype)

        def close(self) -> None:
            pair, self._pair = self._pair, None
            if pair is not None:
                pair.close()

    return Allocator()
