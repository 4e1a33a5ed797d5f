"""ONNX Runtime's CUDA provider, as far as a machine without a GPU can tell."""

from __future__ import annotations

import concurrent.futures
import threading
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from service.engine.backends import cuda, cuda_memory
from service.engine.backends.backend import DeviceLostError, OutOfMemoryError
from service.engine.backends.bound import BoundBackend
from service.engine.backends.gpus import NoDriverError, gpus, turn_of
from service.engine.compute import Compute, ComputeError
from tests.bundles import write_iterative
from tests.service.engine.pretend.cuda import OK, PretendCuda

COMPUTE = Compute(device="cuda")
HAS_CUDA = cuda.PROVIDER in ort.get_available_providers()


def has_gpu() -> bool:
    try:
        return HAS_CUDA and bool(gpus())
    except NoDriverError:
        return False


without_gpu = pytest.mark.skipif(has_gpu(), reason="says what is missing where a GPU is missing")
INPUTS = {
    "state": np.arange(12, dtype=np.float32).reshape(3, 4),
    "gain": np.full((3, 1), 2, np.float32),
}


@without_gpu
def test_a_machine_without_a_gpu_is_told_what_is_missing() -> None:
    with pytest.raises(ComputeError, match=r"built for the processor alone|driver"):
        cuda.check_cuda(COMPUTE)


@without_gpu
def test_falling_back_to_the_processor_is_an_error(tmp_path: Path) -> None:
    path = write_iterative(tmp_path).file("step.onnx")

    with pytest.raises(ComputeError, match="fell back to CPUExecutionProvider"):
        cuda.open_cuda(path, COMPUTE, max_batch=4)


@without_gpu
def test_falling_back_may_be_allowed(tmp_path: Path) -> None:
    path = write_iterative(tmp_path).file("step.onnx")

    backend = cuda.open_cuda(path, Compute(device="cuda", gpus=(0, 1), allow_cpu=True), max_batch=4)
    backend.warm_up({name: value[:1] for name, value in INPUTS.items()})

    assert backend.buckets == (1, 2, 4)
    found = backend.run(INPUTS)["next_state"]
    np.testing.assert_array_equal(found, INPUTS["state"] * 2 + 1)
    backend.rebuild()
    np.testing.assert_array_equal(backend.run(INPUTS)["next_state"], found)
    backend.close()


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="needs an NVIDIA GPU and onnxruntime-gpu")
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_a_graph_answers_on_a_gpu(tmp_path: Path, cuda_graphs: bool) -> None:
    path = write_iterative(tmp_path).file("step.onnx")
    cuda.check_cuda(COMPUTE)

    backend = cuda.open_cuda(path, Compute(device="cuda", cuda_graphs=cuda_graphs), max_batch=4)
    backend.warm_up({name: value[:1] for name, value in INPUTS.items()})

    for _ in range(3):
        np.testing.assert_allclose(
            backend.run(INPUTS)["next_state"], INPUTS["state"] * 2 + 1, rtol=1e-5
        )


def test_the_provider_is_told_in_texts() -> None:
    options = cuda.provider_options(
        2, Compute(device="cuda", gpu_memory_bytes=3 << 30), record=True
    )

    assert options["device_id"] == "2"
    assert options["gpu_mem_limit"] == str(3 << 30)
    assert options["enable_cuda_graph"] == "1"
    assert cuda.provider_options(0, COMPUTE, record=False)["enable_cuda_graph"] == "0"
    assert "gpu_mem_limit" not in cuda.provider_options(0, COMPUTE, record=False)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("CUDA failure 2: out of memory ; GPU=0 ; hostname=a", OutOfMemoryError),
        ("BFCArena::AllocateRawInternal Failed to allocate memory for 4096", OutOfMemoryError),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", OutOfMemoryError),
        ("CUDA failure 700: an illegal memory access was encountered", DeviceLostError),
        ("CUDA failure 719: unspecified launch failure", DeviceLostError),
        ("CUDA failure 209: no kernel image is available", RuntimeError),
        ("Non-zero status code returned while running Gather node", RuntimeError),
    ],
)
def test_errors_mean_something_to_the_engine(said: str, meant: type[Exception]) -> None:
    assert type(cuda.meaning_of(RuntimeError(said))) is meant


def test_a_gpu_has_one_turn_for_all() -> None:
    assert turn_of(0) is turn_of(0)
    assert turn_of(0) is not turn_of(1)


# -- CUDA's buffers and streams, pretended


class TwoGpus(PretendCuda):
    """Notes on which of them each thread allocates."""

    def __init__(self, memory_bytes: int = 1 << 30) -> None:
        super().__init__(memory_bytes)
        self.chosen = threading.local()
        self.allocated_on: list[int] = []

    def cudaSetDevice(self, gpu: int) -> tuple[object, ...]:
        self.chosen.gpu = gpu
        return (OK,)

    def cudaMalloc(self, size: int) -> tuple[object, ...]:
        self.allocated_on.append(getattr(self.chosen, "gpu", 0))
        answer: tuple[object, ...] = super().cudaMalloc(size)
        return answer


class Pretended(cuda.CudaMemory):
    """Its GPU's memory is this process's, where ONNX Runtime finds it on the processor."""

    device = "cpu"


def on_pretended(path: Path, gpu: int) -> BoundBackend:
    memory = Pretended(gpu)
    memory.index = 0
    memory.strand = lambda: cuda._CudaStrand(gpu)  # type: ignore[method-assign]
    return BoundBackend(
        lambda record: ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]),
        lambda session: memory,
        max_batch=4,
        slots=2,
        turn=threading.Lock(),
        translate=cuda.meaning_of,
    )


def test_batches_go_through_pinned_memory_and_streams(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runtime = TwoGpus()
    monkeypatch.setattr(cuda_memory, "runtime", runtime)
    backend = on_pretended(write_iterative(tmp_path).file("step.onnx"), gpu=1)
    batches = [np.full((1 + i % 4, 4), i, np.float32) for i in range(100)]

    def answer(states: np.ndarray) -> np.ndarray:
        return backend.run({"state": states, "gain": np.full((len(states), 1), 2, np.float32)})[
            "next_state"
        ]

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(answer, batches))

    for states, found in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(found, states * 2 + 1)
    assert set(runtime.allocated_on) == {1}
    # Three tensors a bucket, of which each of two slots has at most three.
    assert len(runtime.device) == len(runtime.pinned) <= 2 * 3 * 3
    del answers
    backend.close()
    assert not runtime.device and not runtime.pinned


def test_buffers_for_which_there_is_no_room_say_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cuda_memory, "runtime", TwoGpus(memory_bytes=200))
    backend = on_pretended(write_iterative(tmp_path).file("step.onnx"), gpu=0)
    sample = {name: value[:1] for name, value in INPUTS.items()}

    backend.warm_up(sample)

    assert backend.buckets == (1,)
    np.testing.assert_array_equal(backend.run(INPUTS)["next_state"], INPUTS["state"] * 2 + 1)
