"""ONNX Runtime on NVIDIA GPUs: its CUDA provider behind the bound backend."""

from __future__ import annotations

import contextlib
import functools
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from service.engine.backends.backend import Backend, DeviceLostError, OutOfMemoryError
from service.engine.backends.binding import UnboundError
from service.engine.backends.bound import BoundBackend
from service.engine.backends.gpus import NoDriverError, gpus, turn_of
from service.engine.backends.memory import Array, HostMemory, Memory, Pair, Strand
from service.engine.backends.replicas import Replicas
from service.engine.compute import Compute, ComputeError

log = logging.getLogger(__name__)

PROVIDER: Final = "CUDAExecutionProvider"
STICKY: Final = frozenset({4, 46, 214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719, 999})
"""cudaError_t after which a context answers every call with the same error."""
NO_MEMORY: Final = re.compile(
    r"out of memory|allocate memory|failure 2:|ALLOC_FAILED|bad_alloc", re.IGNORECASE
)
FAILURE: Final = re.compile(r"CUDA failure (\d+)")


def check_cuda(compute: Compute) -> None:
    """ComputeError, in words that say what to do, unless these GPUs can be computed on."""
    if PROVIDER not in ort.get_available_providers():
        raise ComputeError(
            "this ONNX Runtime was built for the processor alone: "
            "pip uninstall onnxruntime, then pip install 'panoptes[gpu]'"
        )
    try:
        found = gpus()
    except NoDriverError as error:
        raise ComputeError(str(error)) from None
    if missing := [index for index in compute.gpus if index >= len(found)]:
        names = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in found) or "none"
        raise ComputeError(f"there is no GPU {missing[0]}; there is {names}")


def open_cuda(path: Path, compute: Compute, *, max_batch: int) -> Backend:
    """The graph on every GPU of `compute`; ComputeError if it would run on the processor."""
    backends = [_open_on(path, gpu, compute, max_batch) for gpu in compute.gpus]
    return backends[0] if len(backends) == 1 else Replicas(backends)


def provider_options(gpu: int, compute: Compute, *, record: bool) -> dict[str, str]:
    """What ONNX Runtime's CUDA provider is told; it takes texts."""
    options = {
        "device_id": str(gpu),
        # Grown by what is asked for: doubling would take memory from the graphs beside it.
        "arena_extend_strategy": "kSameAsRequested",
        # Trying every algorithm of every convolution takes minutes over all buckets.
        "cudnn_conv_algo_search": "HEURISTIC",
        "enable_cuda_graph": str(int(record)),
    }
    if compute.gpu_memory_bytes is not None:
        options["gpu_mem_limit"] = str(compute.gpu_memory_bytes)
    return options


def open_session(
    path: Path, provider: str, options: Mapping[str, str], *, allow_cpu: bool = False
) -> ort.InferenceSession:
    """ComputeError where ONNX Runtime silently left the provider out."""
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    wanted = [(provider, dict(options))] if provider in ort.get_available_providers() else []
    session = ort.InferenceSession(
        str(path),
        sess_options=settings,
        providers=[*wanted, "CPUExecutionProvider"],
        enable_fallback=False,
    )
    if provider not in (got := session.get_providers()):
        if not allow_cpu:
            raise ComputeError(
                f"ONNX Runtime fell back to {', '.join(got)}: {provider} could not be loaded. "
                "Are CUDA's and cuDNN's libraries those that it was built with?"
            )
        log.warning("%s runs on the processor: %s could not be loaded", path.name, provider)
    return session


def meaning_of(error: Exception) -> Exception:
    """An error of ONNX Runtime as the engine understands it."""
    said = str(error)
    if NO_MEMORY.search(said):
        return OutOfMemoryError("the GPU's memory is full")
    if (failure := FAILURE.search(said)) and int(failure[1]) in STICKY:
        return DeviceLostError(f"CUDA failure {failure[1]}")
    return error


def _open_on(path: Path, gpu: int, compute: Compute, max_batch: int) -> BoundBackend:
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # from NVIDIA's wheels, which no loader searches

    def opened(record: bool) -> ort.InferenceSession:
        options = provider_options(gpu, compute, record=record)
        session = open_session(path, PROVIDER, options, allow_cpu=compute.allow_cpu)
        if record and not _on_gpu(session):
            raise ComputeError("on the processor there is nothing to record")
        return session

    def memory_of(session: ort.InferenceSession) -> Memory:
        return CudaMemory(gpu) if _on_gpu(session) else HostMemory()

    try:
        return BoundBackend(
            opened,
            memory_of,
            max_batch=max_batch,
            slots=compute.slots,
            turn=turn_of(gpu),
            record=compute.cuda_graphs and PROVIDER in ort.get_available_providers(),
            translate=meaning_of,
            revive=functools.partial(_revive, gpu),
        )
    except UnboundError as error:
        raise ComputeError(f"the graph cannot be given buffers on a GPU: {error}") from None


def _on_gpu(session: ort.InferenceSession) -> bool:
    return PROVIDER in session.get_providers()


class CudaMemory:
    """Buffers on one GPU, and pinned ones on the host."""

    device: Final = "cuda"

    def __init__(self, gpu: int) -> None:
        self.index: Final = gpu

    def strand(self) -> Strand:
        return _CudaStrand(self.index)


class _CudaStrand:
    def __init__(self, gpu: int) -> None:
        from service.engine.backends import cuda_memory

        self._cuda: Any = cuda_memory
        self._gpu = gpu
        self._select()
        self.stream = cuda_memory.Stream()

    def pair(self, shape: Sequence[int], dtype: npt.DTypeLike) -> Pair:
        self._select()
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        pinned, device = self._cuda.PinnedBuffer(size), self._cuda.DeviceBuffer(size)
        return _CudaPair(self.stream, pinned, device, pinned.view(shape, dtype))

    def wait(self) -> None:
        self._select()
        self.stream.wait()

    def _select(self) -> None:
        """CUDA's calls go to the device that their thread chose."""
        self._cuda.check(self._cuda.runtime.cudaSetDevice(self._gpu))


class _CudaPair:
    def __init__(self, stream: Any, pinned: Any, device: Any, host: Array) -> None:
        self._stream, self._pinned, self._device = stream, pinned, device
        self.host = host
        host[...] = 0

    @property
    def address(self) -> int:
        pointer: int = self._device.pointer
        return pointer

    def upload(self) -> None:
        self._stream.upload(self._device, self._pinned, self._pinned.size_bytes)

    def download(self) -> None:
        self._stream.download(self._pinned, self._device, self._pinned.size_bytes)


def _revive(gpu: int) -> None:
    """After a lost device; nothing where the processor serves in its place."""
    with contextlib.suppress(ImportError, NoDriverError):
        if gpus():
            from service.engine.backends import cuda_memory

            cuda: Any = cuda_memory
            cuda.check(cuda.runtime.cudaSetDevice(gpu))
            cuda.revive()
