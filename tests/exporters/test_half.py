"""Half precision from the first product to the last, proven by running it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from exporters.errors import ParityError
from exporters.export import ExportOptions, GraphSource, Output, make_graph
from exporters.graph import export_graph, load_graph, save_graph
from exporters.half import compute_half
from exporters.precision import store_half
from service.bundle import load_golden, read_bundle
from tests.exporters.networks import images

STARTERS = Path("service/starter")
HALF, SINGLE = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT


class Attending(nn.Module):
    """Normalised pixels, a product, a norm, attention, a product; then steep functions."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.patches = nn.Conv2d(3, 16, 4, stride=4)
            self.norm = nn.LayerNorm(16)
            self.mixed, self.scores = nn.Linear(16, 16), nn.Linear(16, 5)
        self.scale = scale

    def forward(self, image: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
        pixels = image.permute(0, 3, 1, 2).float() / 128 - 1
        tokens = self.norm(self.patches(pixels).flatten(2).transpose(1, 2))  # [B, T, 16]
        weights = (tokens @ tokens.transpose(1, 2) / 4).softmax(-1)
        logits = self.scores(torch.relu(self.mixed(weights @ tokens) * self.scale).mean(1))
        kept = logits.softmax(-1) * 1000.0
        return kept, (kept > threshold).to(torch.int32)


INPUTS = {"image": images(8).numpy(), "threshold": np.full((8, 1), 200.123, np.float32)}


def exported(path: Path, module: nn.Module) -> Path:
    example = {name: torch.from_numpy(value[:2]) for name, value in INPUTS.items()}
    model = export_graph(module.eval(), example, ["kept", "over"])
    return save_graph(model, path)[0]


def run(path: Path) -> dict[str, np.ndarray]:
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, INPUTS), strict=True))


def types_of(path: Path) -> dict[str, set[int]]:
    """Operator -> the types of floating-point inputs with which it occurs."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    graph = model.graph
    known = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input)}
    known |= {v.name: v.type.tensor_type.elem_type for v in graph.output}
    known |= {w.name: w.data_type for w in graph.initializer}
    found: dict[str, set[int]] = {}
    for node in graph.node:
        if node.op_type != "Cast":
            types = {known[name] for name in node.input if name} & {HALF, SINGLE}
            found[node.op_type] = found.get(node.op_type, set()) | types
    return found


def test_products_are_in_half_precision_and_sensitive_layers_are_not(tmp_path: Path) -> None:
    single = exported(tmp_path / "single.onnx", Attending())
    (half,) = save_graph(compute_half(load_graph(single)), tmp_path / "half.onnx")

    types = types_of(half)

    assert types["Conv"] == types["Gemm"] == types["Relu"] == {HALF}
    assert HALF in types["MatMul"]
    assert types["Softmax"] == types["LayerNormalization"] == {SINGLE}
    assert types["Greater"] == {SINGLE}  # after the last product
    found, expected = run(half), run(single)
    np.testing.assert_allclose(found["kept"], expected["kept"], atol=2.0)
    assert not np.array_equal(found["kept"], expected["kept"])
    np.testing.assert_array_equal(found["over"], expected["over"])


def test_inputs_and_outputs_keep_their_types(tmp_path: Path) -> None:
    single = exported(tmp_path / "single.onnx", Attending())
    (half,) = save_graph(compute_half(load_graph(single)), tmp_path / "half.onnx")

    def ports(path: Path) -> list[tuple[str, str, list[object]]]:
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return [(p.name, p.type, p.shape) for p in (*session.get_inputs(), *session.get_outputs())]

    assert ports(half) == ports(single)


def test_what_was_stored_in_half_precision_is_computed_so_too(tmp_path: Path) -> None:
    single = exported(tmp_path / "single.onnx", Attending())
    direct = save_graph(compute_half(load_graph(single)), tmp_path / "direct.onnx")[0]
    stored = store_half(load_graph(single))
    again = save_graph(compute_half(stored), tmp_path / "again.onnx")[0]

    assert types_of(again) == types_of(direct)
    np.testing.assert_array_equal(run(again)["kept"], run(direct)["kept"])


def test_a_layer_with_a_number_beyond_half_precision_stays_single(tmp_path: Path) -> None:
    single = exported(tmp_path / "single.onnx", Attending(scale=1e6))
    (half,) = save_graph(compute_half(load_graph(single)), tmp_path / "half.onnx")

    assert SINGLE in types_of(half)["Mul"]


def test_a_graph_that_half_precision_breaks_is_not_exported(tmp_path: Path) -> None:
    class Squaring(nn.Module):
        """Beyond 65504 between two products."""

        def __init__(self) -> None:
            super().__init__()
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.first, self.last = nn.Linear(768, 8), nn.Linear(8, 4)

        def forward(self, image: Tensor) -> Tensor:
            hidden = self.first(image.flatten(1).float())
            logits: Tensor = self.last(hidden * hidden * hidden)
            return logits

    source = GraphSource(
        Squaring().eval(), {"image": images(8).numpy()}, (Output("logits", tolerance=1e3),)
    )
    make_graph(source, tmp_path / "stored.onnx", ExportOptions("x", precision="fp16"))
    with pytest.raises(ParityError, match="cannot compute in half precision"):
        make_graph(source, tmp_path / "half.onnx", ExportOptions("x", precision="fp16-compute"))


@pytest.mark.parametrize("name", ["tabletop-classifier", "tabletop-detector"])
def test_starters_keep_to_their_golden_outputs(tmp_path: Path, name: str) -> None:
    bundle = read_bundle(STARTERS / name / "1")
    ((role, graph),) = bundle.manifest.graphs.items()
    (half,) = save_graph(compute_half(load_graph(bundle.file(graph.file))), tmp_path / "half.onnx")
    inputs, expected = load_golden(bundle)[role]

    session = ort.InferenceSession(str(half), providers=["CPUExecutionProvider"])
    found = dict(zip(expected, session.run(list(expected), inputs), strict=True))

    for output, value in expected.items():
        distance = np.abs(found[output].astype(np.float64) - value).max()
        assert distance <= graph.tolerance_of(output), output
