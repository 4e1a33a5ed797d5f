"""ONNX Runtime's CUDA provider, as far as a machine without a GPU can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from service.engine.backends import cuda
from service.engine.backends.backend import DeviceLostError, OutOfMemoryError
from service.engine.backends.gpus import NoDriverError, gpus, turn_of
from service.engine.compute import Compute, ComputeError
from tests.bundles import write_iterative

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
