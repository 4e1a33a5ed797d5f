"""CUDA's runtime as far as a backend needs it: buffers on both sides, streams, events, graphs.

Imported only where a backend computes on an NVIDIA GPU: nothing else here needs `cuda.bindings`.
Every call goes to the device that its thread has selected.
"""

from __future__ import annotations

import contextlib
import ctypes
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from cuda.bindings import runtime

from service.engine.backends.backend import DeviceLostError, OutOfMemoryError

Array = npt.NDArray[np.generic]

LOST = frozenset(
    {
        "Assert",
        "Contained",
        "ContextIsDestroyed",
        "DevicesUnavailable",
        "ECCUncorrectable",
        "HardwareStackError",
        "IllegalAddress",
        "IllegalInstruction",
        "InvalidAddressSpace",
        "InvalidPc",
        "LaunchFailure",
        "LaunchTimeout",
        "MisalignedAddress",
        "NvlinkUncorrectable",
        "TensorMemoryLeak",
    }
)
"""After these the context answers every call with the same error, until the device is reset."""


class CudaError(Exception):
    """A call that failed and left the device as it was."""


def check(answer: tuple[Any, ...]) -> Any:
    """What a call of the runtime returned, after its status; raises the status otherwise."""
    status, *values = answer
    if status != runtime.cudaError_t.cudaSuccess:
        name = str(status.name).removeprefix("cudaError")
        if name == "MemoryAllocation":
            raise OutOfMemoryError("the GPU's memory is full")
        if name in LOST:
            raise DeviceLostError(f"CUDA says {name}")
        raise CudaError(f"CUDA says {name}")
    return values[0] if len(values) == 1 else tuple(values)


def check_last() -> None:
    """Raise what a library's call, which only said that it failed, left behind."""
    check(runtime.cudaGetLastError())


def select(gpu: int) -> None:
    """The calls of this thread go to this device from now on; to the first one before."""
    check(runtime.cudaSetDevice(gpu))


def revive() -> None:
    """Make the thread's device usable again after DeviceLostError; nothing where it is already.

    Everything that was on it is lost, of whichever backend.
    """
    try:
        check(runtime.cudaDeviceSynchronize())
    except DeviceLostError:
        check(runtime.cudaDeviceReset())
        check(runtime.cudaDeviceSynchronize())


class DeviceBuffer:
    """Bytes on the GPU, given back when closed or forgotten."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.pointer = int(check(runtime.cudaMalloc(max(size_bytes, 1))))
        self.close = _finally(self, runtime.cudaFree, self.pointer)


class PinnedBuffer:
    """Bytes on the host that the GPU reads and writes by itself, beside whatever else runs."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.pointer = int(
            check(runtime.cudaHostAlloc(max(size_bytes, 1), runtime.cudaHostAllocDefault))
        )
        self.close = _finally(self, runtime.cudaFreeHost, self.pointer)

    def view(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Array:
        """The first bytes as an array. It lives no longer than the buffer does."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if size > self.size_bytes:
            raise ValueError(f"{size} bytes of a buffer of {self.size_bytes}")
        raw = (ctypes.c_ubyte * size).from_address(self.pointer)
        flat: Array = np.frombuffer(memoryview(raw).cast("B"), dtype)
        return flat.reshape(shape)


class Event:
    """A moment of a stream. Waiting for one sleeps, where waiting for a stream would spin."""

    def __init__(self) -> None:
        flags = runtime.cudaEventBlockingSync | runtime.cudaEventDisableTiming
        self._event = check(runtime.cudaEventCreateWithFlags(flags))
        self.close = _finally(self, runtime.cudaEventDestroy, self._event)

    def record(self, stream: Stream) -> None:
        check(runtime.cudaEventRecord(self._event, stream.handle))

    def wait(self) -> None:
        check(runtime.cudaEventSynchronize(self._event))


class Stream:
    """An order of work of its own, which waits for no other stream."""

    def __init__(self) -> None:
        self.handle = check(runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking))
        self.close = _finally(self, runtime.cudaStreamDestroy, self.handle)
        self._done = Event()

    def upload(self, target: DeviceBuffer, source: PinnedBuffer, size_bytes: int) -> None:
        kind = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(target.pointer, source.pointer, size_bytes, kind)

    def download(self, target: PinnedBuffer, source: DeviceBuffer, size_bytes: int) -> None:
        kind = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(target.pointer, source.pointer, size_bytes, kind)

    def wait(self) -> None:
        """Until all that was asked of it is done, without taking a core meanwhile."""
        self._done.record(self)
        self._done.wait()

    @contextlib.contextmanager
    def capture(self) -> Iterator[CapturedWork]:
        """What is asked of the stream inside is recorded instead of done.

        The work can be launched after the block. CudaError where something in it cannot be
        recorded; the stream is usable all the same.
        """
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        check(runtime.cudaStreamBeginCapture(self.handle, mode))
        captured = CapturedWork()
        try:
            yield captured
        except BaseException:
            # Ended in any case, or the stream could never be used again.
            status, graph = runtime.cudaStreamEndCapture(self.handle)
            if status == runtime.cudaError_t.cudaSuccess and graph is not None:
                runtime.cudaGraphDestroy(graph)
            runtime.cudaGetLastError()  # which would come up again at the next call
            raise
        captured.instantiate(check(runtime.cudaStreamEndCapture(self.handle)))

    def _copy(self, target: int, source: int, size_bytes: int, kind: Any) -> None:
        check(runtime.cudaMemcpyAsync(target, source, size_bytes, kind, self.handle))


class CapturedWork:
    """A CUDA graph: many launches that cost the host as much as one."""

    def __init__(self) -> None:
        self._executable: Any = None

    def instantiate(self, graph: Any) -> None:
        try:
            self._executable = check(runtime.cudaGraphInstantiate(graph, 0))
        finally:
            runtime.cudaGraphDestroy(graph)
        self.close = _finally(self, runtime.cudaGraphExecDestroy, self._executable)

    def launch(self, stream: Stream) -> None:
        check(runtime.cudaGraphLaunch(self._executable, stream.handle))


def _finally(owner: object, give_back: Callable[[Any], object], handle: Any) -> Callable[[], None]:
    """Give `handle` back once: when called, or when its owner is collected.

    The status is not looked at: a device that was lost has taken everything with it.
    """
    finalizer = weakref.finalize(owner, give_back, handle)
    finalizer.atexit = False  # the driver may be gone by then

    def close() -> None:
        finalizer()

    return close
