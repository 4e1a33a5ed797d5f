from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from exporters.errors import ExportError
from exporters.graph import export_graph, load_graph, save_graph
from exporters.precision import Calibration, quantize, store_half
from tests.exporters.networks import SmallClassifier, images

Answer = np.ndarray


def run(path: Path, pixels: torch.Tensor) -> Answer:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    answer: Answer = session.run(None, {"image": pixels.numpy()})[0]
    return answer


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = export_graph(SmallClassifier().eval(), {"image": images(2)}, ["logits"])
    (path,) = save_graph(model, tmp_path_factory.mktemp("graph") / "fp32.onnx")
    return path


def initialisers(path: Path, kind: int) -> list[onnx.TensorProto]:
    return [w for w in onnx.load(path).graph.initializer if w.data_type == kind]


def test_large_weights_are_stored_as_half_and_small_ones_are_not(original: Path, tmp_path: Path):
    (path,) = save_graph(store_half(load_graph(original)), tmp_path / "half.onnx")
    halves = initialisers(path, onnx.TensorProto.FLOAT16)
    assert sorted(tuple(w.dims) for w in halves) == [(24, 3, 3, 3), (48, 24, 3, 3)]
    assert {len(w.dims) for w in initialisers(path, onnx.TensorProto.FLOAT)} <= {0, 1, 2, 4}
    np.testing.assert_allclose(run(path, images(3)), run(original, images(3)), atol=2e-3)


def test_half_is_about_half_the_file(tmp_path: Path):
    class Wide(nn.Sequential):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image.flatten(1).float() / 255)  # type: ignore[no-any-return]

    module = Wide(nn.Linear(768, 256), nn.ReLU(), nn.Linear(256, 10)).eval()
    model = export_graph(module, {"image": images(2)}, ["out"])
    (single,) = save_graph(model, tmp_path / "single.onnx")
    (half,) = save_graph(store_half(load_graph(single)), tmp_path / "half.onnx")
    assert 0.5 <= half.stat().st_size / single.stat().st_size < 0.52


@pytest.mark.parametrize("scale", [1e6, 1e-9])
def test_weights_beyond_half_stay_single(tmp_path: Path, scale: float):
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.linspace(-1, 1, 768 * 8).view(768, 8) * scale)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image.flatten(1).float() @ self.weight

    model = store_half(export_graph(Scaled().eval(), {"image": images(2)}, ["out"]))
    (path,) = save_graph(model, tmp_path / "g.onnx")
    assert not initialisers(path, onnx.TensorProto.FLOAT16)


def test_int8_agrees_with_fp32_and_is_the_calibration_with_the_least_loss(
    original: Path, tmp_path: Path
):
    held_out = images(64, seed=2)
    expected = run(original, held_out)

    def loss(path: Path) -> float:
        return float(np.abs(run(path, held_out) - expected).mean())

    quantized = quantize(original, {"image": images(64, seed=1).numpy()}, loss)
    assert set(quantized.losses) == {"minmax", "percentile 99.999", "percentile 99.99", "entropy"}
    assert quantized.losses[str(quantized.calibration)] == min(quantized.losses.values())
    (path,) = save_graph(quantized.model, tmp_path / "int8.onnx")
    found = run(path, held_out)
    assert np.abs(found - expected).mean() < 0.05 * expected.std()
    assert np.mean(found.argmax(1) == expected.argmax(1)) >= 0.9


def test_int8_is_unsigned_by_sample_signed_by_channel_and_keeps_the_batch(
    original: Path, tmp_path: Path
):
    quantized = quantize(
        original, {"image": images(16).numpy()}, lambda _: 0.0, calibrations=[Calibration("minmax")]
    )
    (path,) = save_graph(quantized.model, tmp_path / "int8.onnx")
    weights = initialisers(path, onnx.TensorProto.INT8)
    assert {tuple(w.dims) for w in weights} >= {(24, 3, 3, 3), (48, 24, 3, 3)}
    scales = {tuple(w.dims) for w in initialisers(path, onnx.TensorProto.FLOAT)}
    assert {(24,), (48,)} <= scales
    assert run(path, images(7)).shape == (7, 5)
    assert onnx.load(path).graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_the_same_calibration_gives_the_same_bytes(original: Path, tmp_path: Path):
    written = []
    for _ in range(2):
        quantized = quantize(
            original,
            {"image": images(16).numpy()},
            lambda _: 0.0,
            calibrations=[Calibration("percentile", 99.9)],
        )
        (path,) = save_graph(quantized.model, tmp_path / "int8.onnx")
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_a_graph_that_works_in_no_calibration_is_an_error(original: Path):
    with pytest.raises(ExportError, match="no calibration"):
        quantize(original, {"image": images(8).numpy()}, lambda _: float("nan"))
