"""One arena for all sessions: they take turns with its pages, and it gives them back."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from service.engine.backends import arena
from service.engine.backends.onnxruntime import OnnxRuntimeBackend
from tests.memory import in_use_mib
from tests.service.engine.backends.graphs import write_graph

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

ROWS = 2048
INPUTS = {"x": np.ones((ROWS, 16), np.float32)}


def wide(folder: Path, name: str) -> OnnxRuntimeBackend:
    """A few weights, and between them 32 MiB of what is computed."""
    path = write_graph(
        folder / f"{name}.onnx",
        helper.make_node("MatMul", ["x", "out"], ["wide"]),
        helper.make_node("Sin", ["wide"], ["waves"]),
        helper.make_node("MatMul", ["waves", "back"], ["y"]),
        width=16,
        out=np.ones((16, 2048), np.float32),
        back=np.ones((2048, 16), np.float32),
    )
    return OnnxRuntimeBackend(path, outputs=["y"], cores=1)


def run_twice(backend: OnnxRuntimeBackend) -> None:
    """The first run tells the session how its tensors lie best; from the second on they do."""
    for _ in range(2):
        backend.run(INPUTS)


def test_sessions_compute_in_the_same_memory_and_give_it_back(tmp_path: Path) -> None:
    backends = [wide(tmp_path, name) for name in "abcd"]
    arena.give_back()
    before = in_use_mib()

    run_twice(backends[0])
    with_one = in_use_mib()
    for backend in backends[1:]:
        run_twice(backend)
    with_all = in_use_mib()
    arena.give_back()

    assert with_one - before > 16, "the test must see the run at all"
    assert with_all - with_one < 8
    assert in_use_mib() - before < 8


def test_answers_do_not_change_when_memory_was_given_back(tmp_path: Path) -> None:
    backend = wide(tmp_path, "a")
    first = backend.run(INPUTS)["y"].copy()

    arena.give_back()

    np.testing.assert_array_equal(backend.run(INPUTS)["y"], first)
    assert first.max() != 0


def test_the_model_that_computes_nothing_is_sound() -> None:
    model = onnx.load_from_string(arena._identity())

    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Identity"]
