"""ONNX Runtime on the CPU: answers, threads, the wide session, and memory that is given back."""

from __future__ import annotations

import concurrent.futures
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from service.bundle import Bundle, check_golden
from service.engine.backends.backend import OutOfMemoryError
from service.engine.backends.onnxruntime import OnnxRuntimeBackend
from tests.bundles import write_iterative, write_tiny_classifier
from tests.memory import in_use_mib
from tests.service.engine.backends.graphs import write_graph


def load(bundle: Bundle, *, cores: int = 1) -> OnnxRuntimeBackend:
    (graph,) = bundle.manifest.graphs.values()
    return OnnxRuntimeBackend(
        bundle.file(graph.file), outputs=[t.name for t in graph.outputs], cores=cores
    )


def test_the_graphs_outputs_come_by_name(tmp_path: Path) -> None:
    backend = load(write_iterative(tmp_path))
    states, gains = np.arange(8, dtype=np.float32).reshape(2, 4), np.float32([[2], [3]])

    outputs = backend.run({"state": states, "gain": gains})

    assert set(outputs) == {"next_state"}
    np.testing.assert_array_equal(outputs["next_state"], states * gains + 1)


def test_the_golden_outputs_hold(tmp_path: Path) -> None:
    bundle = write_tiny_classifier(tmp_path)
    backend = load(bundle)

    drift = check_golden(bundle, lambda role, inputs: backend.run(inputs))

    assert drift["classify"] <= bundle.manifest.graphs["classify"].golden_tolerance


def test_a_view_of_a_larger_array_is_read_as_what_it_shows(tmp_path: Path) -> None:
    backend = load(write_iterative(tmp_path))
    large = np.arange(64, dtype=np.float32).reshape(8, 8)
    view = large[::2, 1::2]

    outputs = backend.run({"state": view, "gain": np.ones((4, 1), np.float32)})

    np.testing.assert_array_equal(outputs["next_state"], view + 1)


def test_two_threads_share_one_session(tmp_path: Path) -> None:
    backend = load(write_iterative(tmp_path))
    batches = [np.full((1 + i % 5, 4), i, np.float32) for i in range(200)]

    def answer(states: np.ndarray) -> np.ndarray:
        return backend.run({"state": states, "gain": np.ones((len(states), 1), np.float32)})[
            "next_state"
        ]

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(answer, batches))

    for states, found in zip(batches, answers, strict=True):
        np.testing.assert_array_equal(found, states + 1)


def test_an_input_of_another_type_is_refused_as_a_failed_batch(tmp_path: Path) -> None:
    backend = load(write_iterative(tmp_path))

    with pytest.raises(Exception, match="Unexpected input data type"):
        backend.run({"state": np.zeros((1, 4), np.int64), "gain": np.zeros((1, 1), np.float32)})


def test_a_batch_that_does_not_fit_into_memory_says_so(tmp_path: Path) -> None:
    path = write_graph(
        tmp_path / "huge.onnx",
        helper.make_node("Expand", ["x", "shape"], ["y"]),
        width=1,
        shape=np.array([1, 1 << 46]),  # more than a process can address
    )
    backend = OnnxRuntimeBackend(path, outputs=["y"], cores=1)

    with pytest.raises(OutOfMemoryError):
        backend.run({"x": np.ones((1, 1), np.float32)})


@pytest.mark.parametrize("cores", [1, 2])
def test_lone_samples_are_answered_whichever_session_they_run_on(
    tmp_path: Path, cores: int
) -> None:
    backend = load(write_iterative(tmp_path), cores=cores)
    inputs = {"state": np.ones((1, 4), np.float32), "gain": np.ones((1, 1), np.float32)}

    for _ in range(50):  # another session is opened meanwhile, tried, and kept or dropped
        assert backend.run(inputs, alone=True)["next_state"].tolist() == [[2.0] * 4]
        time.sleep(0.002)


def test_a_rebuilt_backend_answers_as_before(tmp_path: Path) -> None:
    backend = load(write_iterative(tmp_path), cores=2)
    inputs = {"state": np.ones((3, 4), np.float32), "gain": np.ones((3, 1), np.float32)}
    before = backend.run(inputs)["next_state"]

    backend.rebuild()

    np.testing.assert_array_equal(backend.run(inputs)["next_state"], before)


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a graph")

    with pytest.raises(Exception, match=r"broken\.onnx"):
        OnnxRuntimeBackend(path, outputs=["y"], cores=1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of this process from /proc")
def test_a_closed_backend_gives_its_memory_back(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((1024, 10_240), np.float32)  # 40 MiB
    path = write_graph(
        tmp_path / "heavy.onnx",
        helper.make_node("MatMul", ["x", "weight"], ["y"]),
        width=1024,
        weight=weight,
    )
    del weight
    inputs = {"x": np.ones((8, 1024), np.float32)}

    # The first session loads code and pools that stay: they are not the graph's.
    first = OnnxRuntimeBackend(path, outputs=["y"], cores=1)
    first.run(inputs)
    first.close()
    before = in_use_mib()
    for _ in range(2):
        backend = OnnxRuntimeBackend(path, outputs=["y"], cores=1)
        backend.run(inputs)
        loaded = in_use_mib()
        backend.close()

    assert loaded - before > 30
    assert in_use_mib() - before < 15
