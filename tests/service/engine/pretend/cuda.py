"""CUDA's runtime played in the memory of this process, as strictly as it can be.

Work of a stream is done when somebody waits for it and not before, so that a forgotten wait shows
as wrong numbers; every address must lie in memory that is allocated; what is recorded is done only
when it is launched. Errors stay until the device is reset, where CUDA's do.
"""

from __future__ import annotations

import ctypes
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

from cuda.bindings import runtime as real

OK = real.cudaError_t.cudaSuccess
Work = Callable[[], None]


@dataclasses.dataclass(eq=False)
class PretendStream:
    number: int
    asked: list[Work] = dataclasses.field(default_factory=list)
    recording: list[Work] | None = None

    def __int__(self) -> int:
        return self.number

    def add(self, work: Work) -> None:
        (self.asked if self.recording is None else self.recording).append(work)


@dataclasses.dataclass(eq=False)
class PretendEvent:
    pending: list[Work] = dataclasses.field(default_factory=list)


class PretendCuda:
    """Stands where `cuda.bindings.runtime` is imported."""

    cudaError_t = real.cudaError_t
    cudaMemcpyKind = real.cudaMemcpyKind
    cudaStreamCaptureMode = real.cudaStreamCaptureMode
    cudaHostAllocDefault = real.cudaHostAllocDefault
    cudaEventBlockingSync = real.cudaEventBlockingSync
    cudaEventDisableTiming = real.cudaEventDisableTiming
    cudaStreamNonBlocking = real.cudaStreamNonBlocking

    def __init__(self, memory_bytes: int = 1 << 30) -> None:
        self.memory_bytes = memory_bytes
        self.lost = False
        self.resets = 0
        self.launches = 0
        self.device: dict[int, Any] = {}
        self.pinned: dict[int, Any] = {}
        self.streams: dict[int, PretendStream] = {}
        self._lock = threading.RLock()

    @property
    def used_bytes(self) -> int:
        return sum(len(block) for block in self.device.values())

    # -- memory

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        if self.used_bytes + size > self.memory_bytes:
            return self._status(real.cudaError_t.cudaErrorMemoryAllocation, None)
        return self._status(OK, self._allocate(self.device, size))

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Any, ...]:
        return self._status(OK, self._allocate(self.pinned, size))

    def cudaFree(self, pointer: int) -> tuple[Any, ...]:
        with self._lock:
            del self.device[pointer]
        return self._status(OK)

    def cudaFreeHost(self, pointer: int) -> tuple[Any, ...]:
        with self._lock:
            del self.pinned[pointer]
        return self._status(OK)

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: Any, stream: PretendStream
    ) -> tuple[Any, ...]:
        down = kind == real.cudaMemcpyKind.cudaMemcpyDeviceToHost
        to, of = (self.pinned, self.device) if down else (self.device, self.pinned)

        def copy() -> None:
            ctypes.memmove(self.at(to, target, size), self.at(of, source, size), size)

        stream.add(copy)
        return self._status(OK)

    def at(self, kind: dict[int, Any], pointer: int, size: int) -> int:
        """The address, if so many bytes from it are allocated."""
        for start, block in kind.items():
            if start <= pointer and pointer + size <= start + len(block):
                return pointer
        raise AssertionError(f"{size} bytes at {pointer:#x} are nobody's")

    # -- streams and events

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        stream = PretendStream(len(self.streams) + 1)
        self.streams[stream.number] = stream
        return self._status(OK, stream)

    def cudaStreamDestroy(self, stream: PretendStream) -> tuple[Any, ...]:
        return self._status(OK)

    def cudaEventCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        return self._status(OK, PretendEvent())

    def cudaEventDestroy(self, event: PretendEvent) -> tuple[Any, ...]:
        return self._status(OK)

    def cudaEventRecord(self, event: PretendEvent, stream: PretendStream) -> tuple[Any, ...]:
        event.pending, stream.asked = [*event.pending, *stream.asked], []
        return self._status(OK)

    def cudaEventSynchronize(self, event: PretendEvent) -> tuple[Any, ...]:
        pending, event.pending = event.pending, []
        if not self.lost:
            for work in pending:
                work()
        return self._status(OK)

    # -- recordings

    def cudaStreamBeginCapture(self, stream: PretendStream, mode: Any) -> tuple[Any, ...]:
        assert stream.recording is None
        stream.recording = []
        return self._status(OK)

    def cudaStreamEndCapture(self, stream: PretendStream) -> tuple[Any, ...]:
        recorded, stream.recording = stream.recording, None
        return self._status(OK, recorded)

    def cudaGraphInstantiate(self, graph: list[Work], flags: int) -> tuple[Any, ...]:
        return self._status(OK, list(graph))

    def cudaGraphDestroy(self, graph: list[Work]) -> tuple[Any, ...]:
        graph.clear()
        return self._status(OK)

    def cudaGraphExecDestroy(self, graph: list[Work]) -> tuple[Any, ...]:
        graph.clear()
        return self._status(OK)

    def cudaGraphLaunch(self, graph: list[Work], stream: PretendStream) -> tuple[Any, ...]:
        assert graph, "an empty or destroyed graph"
        self.launches += 1
        for work in graph:
            stream.add(work)
        return self._status(OK)

    # -- the device

    def cudaSetDevice(self, gpu: int) -> tuple[Any, ...]:
        return (OK,)

    def cudaDeviceSynchronize(self) -> tuple[Any, ...]:
        return self._status(OK)

    def cudaGetLastError(self) -> tuple[Any, ...]:
        return self._status(OK)

    def cudaDeviceReset(self) -> tuple[Any, ...]:
        self.lost = False
        self.resets += 1
        return self._status(OK)

    def _allocate(self, kind: dict[int, Any], size: int) -> int:
        block = ctypes.create_string_buffer(b"\xa5" * size, size)  # not zeros
        pointer = ctypes.addressof(block)
        with self._lock:
            kind[pointer] = block
        return pointer

    def _status(self, status: Any, *values: Any) -> tuple[Any, ...]:
        return (real.cudaError_t.cudaErrorIllegalAddress if self.lost else status, *values)
