from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import Tensor, nn

from exporters import graph
from exporters.errors import ExportError, StaticBatchError
from exporters.graph import (
    OPSET,
    drop_output,
    export_graph,
    load_graph,
    save_graph,
    tensor_specs,
)
from tests.exporters.networks import SmallClassifier, images


class TwoAnswers(nn.Module):
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        flat = image.flatten(1).float()
        return flat.mean(1), flat * 2


class ChunksTheBatch(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        flat = image.flatten(1).float()
        first, second = torch.cat([flat, flat + 1]).chunk(2)
        return first + second


class SlicesTheBatch(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        flat = image.flatten(1).float()
        both = torch.cat([flat, flat + 1])
        return both[: image.shape[0]] + both[image.shape[0] :]


class DoublesTheBatch(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        flat = image.flatten(1).float()
        return torch.cat([flat, flat])


class KnowsTheBatch(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.reshape(2, -1).float()


class MixesTheBatch(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.float().mean(0)


def example(size_px: int = 16) -> dict[str, Tensor]:
    return {"image": images(2, size_px=size_px)}


def test_the_batch_is_the_only_symbol_and_the_names_are_those_given():
    model = export_graph(SmallClassifier().eval(), example(), ["logits"])
    (image,), (logits,) = tensor_specs(model.graph.inputs), tensor_specs(model.graph.outputs)
    assert (image.name, image.dtype, image.shape) == ("image", "uint8", ("batch", 16, 16, 3))
    assert (logits.name, logits.dtype, logits.shape) == ("logits", "float32", ("batch", 5))
    assert model.opset_imports == {"": OPSET}


def test_the_file_runs_at_batches_that_were_not_traced(tmp_path: Path):
    module = SmallClassifier().eval()
    (path,) = save_graph(export_graph(module, example(), ["logits"]), tmp_path / "g.onnx")
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 3, 7):
        pixels = images(batch)
        (found,) = session.run(None, {"image": pixels.numpy()})
        np.testing.assert_allclose(found, module(pixels).detach(), atol=1e-5)


def test_the_same_module_gives_the_same_bytes(tmp_path: Path):
    files = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    for file in files:
        save_graph(export_graph(SmallClassifier().eval(), example(), ["logits"]), file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_nothing_of_this_machine_is_in_the_file(tmp_path: Path):
    (path,) = save_graph(
        export_graph(SmallClassifier().eval(), example(), ["logits"]), tmp_path / "g.onnx"
    )
    written = path.read_bytes()
    for trace in (b"File ", b".py", b"site-packages", str(Path.cwd()).encode(), b"torch"):
        assert trace not in written
    model = onnx.load(path)
    assert not model.metadata_props and not model.graph.metadata_props
    assert not model.graph.value_info
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)


def test_nhwc_input_leaves_no_stride_arithmetic_in_the_graph():
    model = export_graph(SmallClassifier().eval(), example(), ["logits"])
    types = {node.op_type for node in model.graph}
    assert not types & {"Gather", "Range", "Shape", "BatchNormalization"}


@pytest.mark.parametrize(
    "module", [ChunksTheBatch(), DoublesTheBatch(), KnowsTheBatch(), MixesTheBatch()]
)
def test_a_batch_that_became_a_constant_is_refused(module: nn.Module):
    with pytest.raises(StaticBatchError):
        export_graph(module.eval(), example(4), ["out"])


def test_slicing_a_concatenated_batch_is_the_way_round(tmp_path: Path):
    model = export_graph(SlicesTheBatch().eval(), example(4), ["out"])
    (path,) = save_graph(model, tmp_path / "g.onnx")
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    pixels = images(5, size_px=4)
    (found,) = session.run(None, {"image": pixels.numpy()})
    np.testing.assert_array_equal(found, SlicesTheBatch()(pixels))


def test_training_mode_is_refused():
    with pytest.raises(ExportError, match="eval"):
        export_graph(SmallClassifier(), example(), ["logits"])


def test_dropping_an_output_drops_what_only_it_needed():
    model = drop_output(export_graph(TwoAnswers().eval(), example(4), ["mean", "double"]), "double")
    assert [value.name for value in model.graph.outputs] == ["mean"]
    assert "Mul" not in {node.op_type for node in model.graph}


def test_large_weights_lie_beside_the_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(graph, "ONE_FILE_MAX_BYTES", 1000)
    module = SmallClassifier().eval()
    files = save_graph(export_graph(module, example(), ["logits"]), tmp_path / "g.onnx")
    assert [file.name for file in files] == ["g.onnx", "g.weights"]
    assert files[0].stat().st_size < files[1].stat().st_size
    (found,) = ort.InferenceSession(files[0]).run(None, {"image": images(3).numpy()})
    np.testing.assert_allclose(found, module(images(3)).detach(), atol=1e-5)
    assert len(load_graph(files[0]).graph.initializers) > 0
