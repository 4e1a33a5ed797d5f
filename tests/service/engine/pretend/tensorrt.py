"""TensorRT's Python interface over ONNX Runtime and the pretended CUDA: a plan is the ONNX graph.

So the whole way from a bundle to an answer can be walked without a GPU. It says nothing of what
TensorRT itself does with a graph, or of how fast.
"""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from tests.service.engine.pretend.cuda import PretendCuda

__version__ = "10.99.0"
MAGIC = b"pretended plan "
CUDA = PretendCuda()
"""The device under all engines; tests put their own here."""
FAULTS: set[str] = set()
"""What goes wrong: build, drift, execute, record, no context, read, no memory."""
BUILDS: list[bytes] = []
"""The timings that each build was given."""
GATE = threading.Event()
"""Builds wait for it."""
BEGUN = threading.Event()
"""Set when one does."""
WATCHERS: list[Callable[[dict[str, np.ndarray]], None]] = []
"""Told the inputs of every run, as it runs."""


class _Names:
    def __init__(self, *names: str) -> None:
        for number, name in enumerate(names):
            setattr(self, name, number)


class TensorIOMode:
    INPUT = "input"
    OUTPUT = "output"


class NetworkDefinitionCreationFlag:
    STRONGLY_TYPED = 1


class MemoryPoolType:
    WORKSPACE = "workspace"


class BuilderFlag:
    TF32 = "tf32"


class ILogger:
    Severity = _Names("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")


class IOutputAllocator:
    pass


class IProgressMonitor:
    pass


def nptype(kind: np.dtype) -> type:
    return kind.type


# -- building


class Builder:
    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def create_network(self, flags: int) -> _Network:
        assert flags == 1 << NetworkDefinitionCreationFlag.STRONGLY_TYPED
        return _Network()

    def create_builder_config(self) -> _Config:
        return _Config()

    def create_optimization_profile(self) -> _Profile:
        return _Profile()

    def build_serialized_network(self, network: _Network, config: _Config) -> bytes | None:
        config.progress_monitor.phase_start("Building", None, 2)
        for step in range(2):
            BEGUN.set()
            assert GATE.wait(30.0)
            if not config.progress_monitor.step_complete("Building", step):
                return None
        config.progress_monitor.phase_finish("Building")
        if "build" in FAULTS:
            self.logger.log(ILogger.Severity.ERROR, "no kernel for node_17\nin a file of ours")
            return None
        BUILDS.append(config.timings.data)
        config.timings.data = b"timed " + str(len(BUILDS)).encode()
        shapes = json.dumps(config.profile.shapes).encode()
        return MAGIC + len(shapes).to_bytes(4) + shapes + network.model


class _Network:
    model = b""

    def __init__(self) -> None:
        self._inputs: list[_Tensor] = []

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    def get_input(self, index: int) -> _Tensor:
        return self._inputs[index]

    def take(self, model: bytes) -> None:
        self.model = model
        graph = onnx.load_from_string(model).graph
        self._inputs = [_Tensor(each) for each in graph.input]


class _Tensor:
    def __init__(self, value: onnx.ValueInfoProto) -> None:
        kind = value.type.tensor_type
        self.name = value.name
        self.shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim)
        self.dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))


class OnnxParser:
    num_errors = 0

    def __init__(self, network: _Network, logger: Any) -> None:
        self._network = network

    def parse(self, model: bytes, path: str) -> bool:
        self._network.take(model)
        return True


class _Config:
    builder_optimization_level = 0
    progress_monitor: Any = None

    def set_memory_pool_limit(self, pool: str, size: int) -> None:
        assert pool == MemoryPoolType.WORKSPACE

    def clear_flag(self, flag: str) -> None:
        assert flag == BuilderFlag.TF32

    def add_optimization_profile(self, profile: _Profile) -> int:
        self.profile = profile
        return 0

    def create_timing_cache(self, data: bytes) -> _Timings:
        return _Timings(data)

    def set_timing_cache(self, timings: _Timings, ignore_mismatch: bool) -> bool:
        self.timings = timings
        return timings.data[:5] in (b"", b"timed")


class _Timings:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def serialize(self) -> bytes:
        return self.data


class _Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, list[tuple[int, ...]]] = {}

    def set_shape(self, name: str, *shapes: tuple[int, ...]) -> None:
        self.shapes[name] = list(shapes)


# -- running


class Runtime:
    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def deserialize_cuda_engine(self, plan: bytes) -> _Engine | None:
        if not plan.startswith(MAGIC) or "read" in FAULTS:
            self._logger.log(ILogger.Severity.ERROR, "the magic tag does not match")
            return None
        return _Engine(plan.removeprefix(MAGIC), self._logger)


class _Engine:
    def __init__(self, plan: bytes, logger: Any) -> None:
        length = int.from_bytes(plan[:4])
        self.logger = logger
        self.shapes: dict[str, list[list[int]]] = json.loads(plan[4 : 4 + length])
        model = onnx.load_from_string(plan[4 + length :])
        self.session = ort.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        self._inputs = {each.name: _Tensor(each) for each in model.graph.input}
        self._outputs = {each.name: _Tensor(each) for each in model.graph.output}
        self.tensors = {**self._inputs, **self._outputs}
        self.names = list(self.tensors)

    @property
    def num_io_tensors(self) -> int:
        return len(self.names)

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_mode(self, name: str) -> str:
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> np.dtype:
        return self.tensors[name].dtype

    def create_execution_context(self) -> _Context | None:
        if "no context" in FAULTS:
            self.logger.log(ILogger.Severity.ERROR, "failed to allocate memory")
            return None
        return _Context(self)

    @property
    def output_names(self) -> list[str]:
        return list(self._outputs)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._allocators: dict[str, Any] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        smallest, _, largest = self._engine.shapes[name]
        if not all(low <= s <= high for low, s, high in zip(smallest, shape, largest)):  # noqa: B905
            return False
        self._shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        batch = next(iter(self._shapes.values()))[0]
        inner = self._engine.tensors[name].shape[1:]
        return (-1 if -1 in inner else batch, *inner)

    def set_tensor_address(self, name: str, pointer: int) -> bool:
        self._addresses[name] = pointer
        return True

    def set_output_allocator(self, name: str, allocator: Any) -> bool:
        self._allocators[name] = allocator
        return True

    def execute_async_v3(self, handle: int) -> bool:
        stream = CUDA.streams[handle]
        if "execute" in FAULTS or ("record" in FAULTS and stream.recording is not None):
            self._engine.logger.log(ILogger.Severity.ERROR, "the enqueue failed\nsomewhere")
            return False
        if "no memory" in FAULTS:
            self._engine.logger.log(ILogger.Severity.ERROR, "Requested amount: out of memory")
            return False
        shapes = dict(self._shapes)
        if not self._allocators:
            stream.add(lambda: self._compute(shapes, self._write))
            return True
        assert stream.recording is None, "what depends on data cannot be recorded"
        assert not stream.asked, "the inputs were not waited for"
        try:
            self._compute(shapes, self._write_growing)
        except MemoryError:
            return False
        return True

    def _compute(self, shapes: dict[str, tuple[int, ...]], write: Any) -> None:
        inputs = {name: self._read(name, shape) for name, shape in shapes.items()}
        for watcher in WATCHERS:
            watcher(inputs)
        names = self._engine.output_names
        for name, value in zip(names, self._engine.session.run(names, inputs), strict=True):
            kind = value.dtype
            changed = value + 1 if "drift" in FAULTS else value
            write(name, np.ascontiguousarray(changed.astype(kind)))

    def _read(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        kind = self._engine.tensors[name].dtype
        size = int(np.prod(shape)) * kind.itemsize
        address = CUDA.at(CUDA.device, self._addresses[name], size)
        return np.frombuffer(ctypes.string_at(address, size), kind).reshape(shape)

    def _write(self, name: str, value: np.ndarray) -> None:
        address = CUDA.at(CUDA.device, self._addresses[name], value.nbytes)
        ctypes.memmove(address, value.ctypes.data, value.nbytes)

    def _write_growing(self, name: str, value: np.ndarray) -> None:
        if (allocator := self._allocators.get(name)) is None:
            self._write(name, value)
            return
        allocator.notify_shape(name, value.shape)
        size = max(value.nbytes, 1)
        if not (pointer := allocator.reallocate_output_async(name, 0, size, 256, 0)):
            raise MemoryError
        ctypes.memmove(CUDA.at(CUDA.device, pointer, size), value.ctypes.data, value.nbytes)
