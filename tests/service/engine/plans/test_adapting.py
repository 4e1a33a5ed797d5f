"""Graphs made fit for TensorRT still compute what they did: ONNX Runtime says so of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.bundle import Bundle, Tensors, load_golden, read_bundle
from service.engine.plans.adapting import adapted
from service.engine.plans.tensorrt import PlanError
from service.settings import STARTER_PACK
from tests.bundles import write_tiny_classifier, write_tiny_detector

STARTERS = sorted(STARTER_PACK.glob("*/*"))


def run(model: bytes, inputs: Tensors) -> Tensors:
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def bytes_inside(model: onnx.ModelProto) -> set[str]:
    """The operators that read or write uint8 inside, as shape inference knows it."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    kinds = {
        v.name: v.type.tensor_type.elem_type
        for v in (*graph.value_info, *graph.input, *graph.output)
    }
    return {
        node.op_type
        for node in graph.node
        if node.op_type != "Cast"
        and TensorProto.UINT8 in {kinds.get(name) for name in (*node.input, *node.output)}
    }


@pytest.mark.parametrize("folder", STARTERS, ids=lambda folder: folder.parent.name)
def test_a_starter_graph_answers_as_before_without_bytes_inside(folder: Path) -> None:
    bundle = read_bundle(folder)
    for role, (inputs, expected) in load_golden(bundle).items():
        graph = bundle.manifest.graphs[role]
        file = bundle.file(graph.file)
        changed = adapted(file)
        two = {name: value[:2] for name, value in inputs.items()}

        before, after = run(file.read_bytes(), two), run(changed, two)

        assert bytes_inside(onnx.load_from_string(changed)) == set()
        assert set(after) == set(expected)
        for name, value in before.items():
            np.testing.assert_array_equal(after[name], value)


@pytest.mark.parametrize("write", [write_tiny_classifier, write_tiny_detector])
def test_so_does_one_of_ours(write, tmp_path: Path) -> None:
    bundle: Bundle = write(tmp_path)
    for role, (inputs, _) in load_golden(bundle).items():
        file = bundle.file(bundle.manifest.graphs[role].file)

        for name, value in run(adapted(file), inputs).items():
            np.testing.assert_array_equal(value, run(file.read_bytes(), inputs)[name])


def test_a_byte_that_a_loop_reads_from_outside_is_a_float_there_too(tmp_path: Path) -> None:
    """x, doubled once in a branch: the branch names the graph's input."""
    kinds = [("x", TensorProto.UINT8, ["batch", 2]), ("y", TensorProto.FLOAT, ["batch", 2])]
    x, y = (helper.make_tensor_value_info(*kind) for kind in kinds)
    inner = helper.make_tensor_value_info("doubled", TensorProto.FLOAT, ["batch", 2])
    branches = {
        name: helper.make_graph(
            [
                helper.make_node("Transpose", ["x"], [f"{name}_t"], perm=[0, 1]),
                helper.make_node("Cast", [f"{name}_t"], [f"{name}_f"], to=TensorProto.FLOAT),
                helper.make_node("Mul", [f"{name}_f", name], ["doubled"]),
            ],
            name,
            [],
            [inner],
        )
        for name in ("one", "two")
    }
    graph = helper.make_graph(
        [
            helper.make_node(
                "If", ["yes"], ["y"], then_branch=branches["two"], else_branch=branches["one"]
            )
        ],
        "graph",
        [x],
        [y],
        [
            numpy_helper.from_array(np.array(True), "yes"),
            numpy_helper.from_array(np.float32(1), "one"),
            numpy_helper.from_array(np.float32(2), "two"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, tmp_path / "branch.onnx")

    changed = adapted(tmp_path / "branch.onnx")

    read = [
        node.input[0]
        for b in onnx.load_from_string(changed).graph.node[1].attribute
        for node in b.g.node[:1]
    ]
    assert read == ["x as float32"] * 2
    answer = run(changed, {"x": np.array([[3, 200]], np.uint8)})["y"]
    np.testing.assert_array_equal(answer, [[6, 400]])


def test_what_is_no_graph_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a graph")

    with pytest.raises(PlanError, match=r"broken\.onnx is no ONNX graph"):
        adapted(tmp_path / "broken.onnx")
