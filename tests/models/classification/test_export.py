"""The classifier as a graph: its batch must stay dynamic."""

import io
import warnings

import onnx
import onnxruntime
import pytest
import torch

from models.classification import Classifier, ClassifierSpec

BACKBONES = {
    "resnet10t": {"channels": [8, 16, 24, 32], "stem_width": 8},
    "mobilenetv2_035": {"depth_multiplier": 0.3},
    "vit_tiny_patch16_224": {"img_size": 32, "patch_size": 8, "depth": 1},
}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_graph_runs_at_batches_it_was_not_traced_at(backbone: str) -> None:
    spec = ClassifierSpec(backbone, ("a", "b", "c"), (32, 32), BACKBONES[backbone])
    classifier = Classifier(spec).eval()
    traced = torch.zeros(2, 32, 32, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        # torch.onnx and onnxscript warn of their own internals; none of it is ours to mend.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            classifier,
            (traced,),
            dynamo=True,
            verbose=False,
            dynamic_shapes={"image": {0: torch.export.Dim.DYNAMIC}},
        )
    assert program is not None
    stream = io.BytesIO()
    program.save(stream)
    model = onnx.load_from_string(stream.getvalue())
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param, "the batch became static"
    assert "AsStrided" not in {node.op_type for node in model.graph.node}
    session = onnxruntime.InferenceSession(stream.getvalue())
    for batch in (1, 3):
        image = torch.randint(0, 256, (batch, 32, 32, 3), dtype=torch.uint8)
        (logits,) = session.run(None, {model.graph.input[0].name: image.numpy()})
        expected = classifier(image).detach()
        torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-5)
