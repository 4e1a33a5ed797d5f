"""Mask2Former of transformers, with random weights, against ours; and from a file to a bundle."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import (
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    ResNetConfig,
    SwinConfig,
)
from typer.testing import CliRunner

from exporters.checkpoints.hf_mask2former import convert_segmenter
from exporters.checkpoints.segment_classes import SegmentClasses, read_segment_classes
from exporters.commands.importing import app
from exporters.errors import CheckpointError
from exporters.segmentation_graph import SegmentationGraph
from exporters.session import CpuSession
from models.segmentation import load_segmenter
from service.bundle import read_bundle

CLASSES = SegmentClasses(("ant", "bee", "sky"), (True, True, False))
STAGES = ["stage1", "stage2", "stage3", "stage4"]
BODIES: dict[str, Any] = {
    # Swin-T but for its width and the number of its blocks.
    "swin": lambda: SwinConfig(
        embed_dim=24, depths=[2, 1, 2, 1], num_heads=[1, 2, 4, 8], out_features=STAGES
    ),
    "resnet-50": lambda: ResNetConfig(out_features=STAGES),
}


def reference(
    kind: str, *, labels: int = 3, layers: int = 5
) -> Mask2FormerForUniversalSegmentation:
    """In the published layout, small behind its backbone, with statistics and masks that live."""
    torch.manual_seed(0)
    config = Mask2FormerConfig(
        backbone_config=BODIES[kind](),
        feature_size=64,
        mask_feature_size=32,
        hidden_dim=64,
        encoder_feedforward_dim=48,
        dim_feedforward=72,
        encoder_layers=2,
        decoder_layers=layers,  # one more than there are
        num_attention_heads=4,
        num_queries=11,
        num_labels=labels,
    )
    model = Mask2FormerForUniversalSegmentation(config).eval().requires_grad_(False)
    for name, tensor in model.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith(("running_mean", "bias", "relative_position_bias_table")):
            tensor.add_(torch.randn_like(tensor) * 0.1)
        elif re.search(r"sampling_offsets\.weight|attention_weights\.weight", name):
            tensor.normal_(0, 0.1)
        elif re.search(r"mask_embedder\.2\.0\.weight|class_predictor\.weight", name):
            tensor.normal_(0, 0.5)
    return model


def pictures(size: tuple[int, int]) -> Tensor:
    draw = torch.Generator().manual_seed(3)
    coarse = torch.rand(2, 3, 6, 6, generator=draw) * 255
    fine = nn.functional.interpolate(coarse, size, mode="bicubic").clamp(0, 255)
    return fine.permute(0, 2, 3, 1).to(torch.uint8)


@pytest.mark.filterwarnings("ignore")  # transformers says that it did not publish any with a ResNet
@pytest.mark.parametrize("kind", BODIES)
def test_logits_are_those_of_transformers(kind: str) -> None:
    model, size = reference(kind), (224, 224) if kind == "swin" else (96, 160)
    network, spec = convert_segmenter(model.state_dict(), CLASSES, size=size)
    images = pictures(size)
    with torch.inference_mode():
        expected = model(pixel_values=network.normalise(images))
        (answer,) = network(images)
    assert spec.queries == 11 and spec.decoder_layers == 4 and spec.heads == 4
    assert spec.is_thing == (True, True, False) and spec.normed_maps == (kind == "swin")
    masks = expected.masks_queries_logits
    # The masks are neither empty nor full: the attention was masked.
    assert 0.05 < (masks > 0).float().mean() < 0.95 and masks.std() > 0.3
    torch.testing.assert_close(answer.mask_logits, masks, atol=1e-3, rtol=0)
    torch.testing.assert_close(
        answer.class_logits, expected.class_queries_logits, atol=1e-3, rtol=0
    )


def test_a_saved_file_becomes_a_bundle(tmp_path: Path) -> None:
    """As `save_pretrained` writes it, with the names that are published."""
    model = reference("swin", layers=3)
    model.save_pretrained(tmp_path / "swin")
    labels = tmp_path / "labels.txt"
    labels.write_text("ant\nbee\nsky\tstuff\n")
    arguments = ["segmenter", str(tmp_path / "swin"), "--name", "insects", "--labels", str(labels)]
    arguments += ["--size", "224x224", "--repository", str(tmp_path / "bundles")]
    kept = tmp_path / "kept"
    result = CliRunner().invoke(app, [*arguments, "--checkpoint", str(kept)])
    assert result.exit_code == 0, result.output
    for said in ("insects:1", "segment.onnx", "not evaluated", "golden inputs with"):
        assert said in result.output
    assert (kept / "weights.safetensors").is_file()
    bundle = read_bundle(tmp_path / "bundles" / "insects" / "1")
    assert [label.is_thing for label in bundle.manifest.labels] == [True, True, False]
    assert bundle.manifest.provenance.source == "swin, hf-mask2former"
    outputs = {t.name: t for t in bundle.manifest.graphs["segment"].outputs}
    assert outputs["ids"].shape == ("batch", 56, 56)
    session = CpuSession(bundle.file("segment.onnx"))
    thresholds = ("score_threshold", "overlap_threshold", "min_area")
    images = pictures((224, 224))
    zeros = {name: np.zeros(2, np.float32) for name in thresholds}
    found = session.run({"image": images.numpy(), **zeros})
    network, spec, _ = load_segmenter(kept)
    with torch.inference_mode():
        expected = SegmentationGraph(network, spec, 4)(images, *(torch.zeros(2) for _ in zeros))
    assert len(expected.ids.unique()) > 2
    assert (found["ids"] != expected.ids.numpy()).mean() < 0.01
    assert found["count"].tolist() == expected.counts.tolist()


def test_windows_must_tile_the_maps() -> None:
    with pytest.raises(CheckpointError, match="sides must divide by 224: 224x256"):
        convert_segmenter(reference("swin").state_dict(), CLASSES, size=(224, 256))


def test_another_number_of_classes_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="knows 5 classes, and 3 are named"):
        convert_segmenter(reference("swin", labels=5).state_dict(), CLASSES, size=(64, 64))


def test_another_layout_is_named() -> None:
    with pytest.raises(CheckpointError, match="hf-mask2former has no head"):
        convert_segmenter({"head.weight": torch.zeros(2)}, CLASSES, size=(64, 64))


def test_cocos_panoptic_classes_are_known_by_name() -> None:
    classes = read_segment_classes("coco-panoptic")
    assert len(classes.labels) == 133 and sum(classes.is_thing) == 80
    assert classes.labels[0] == "person" and classes.labels[79:81] == ("toothbrush", "banner")
    assert classes.labels[-1] == "rug-merged" and not classes.is_thing[-1]


@pytest.mark.parametrize(
    ("text", "said"), [("a\na\n", "differ"), ("a\tthing\n", "behind a tab stands 'stuff'")]
)
def test_a_file_of_labels_must_make_sense(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(CheckpointError, match=said):
        read_segment_classes(str(tmp_path / "labels.txt"))
