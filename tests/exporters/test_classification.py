from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from exporters.classification import (
    ClassificationGraph,
    ClassifierOptions,
    ExportedClassifier,
    export_classifier,
)
from exporters.errors import ExportError, ParityError
from exporters.images import LabelledPixels
from exporters.parity import run_torch
from models.classification import Classifier, ClassifierSpec
from service.bundle import Bundle, Manifest, check_golden, read_bundle
from tests.exporters.networks import LABELS, SmallClassifier, images, small_spec

# -- every family of the classical backbones -------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """A backbone, cut down by arguments where it has such, by `trim` where it has not."""

    backbone: str
    size_px: int = 32
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    trim: Callable[[nn.Module], None] = lambda backbone: None


SHALLOW = {"layers": (1, 1, 1, 1)}
NARROW = {"channels": (8, 16, 24, 32)}


def trim_alexnet(backbone: Any) -> None:
    backbone.classifier[1] = nn.Linear(9216, 32)
    backbone.classifier[4] = nn.Linear(32, 32)
    backbone.classifier[6] = nn.Linear(32, len(LABELS))


def trim_vgg(backbone: Any) -> None:
    backbone.pre_logits.fc1 = nn.Conv2d(512, 32, 7)
    backbone.pre_logits.fc2 = nn.Conv2d(32, 32, 1)
    backbone.head.fc = nn.Linear(32, len(LABELS))


def trim_inception_v4(backbone: Any) -> None:
    """One block of each kind."""
    kept: dict[str, nn.Module] = {}
    for index, block in enumerate(backbone.features):
        name = type(block).__name__
        kept.setdefault(name if name.startswith("Inception") else f"{name}{index}", block)
    backbone.features = nn.Sequential(*kept.values())


def trim_inception_resnet(backbone: Any) -> None:
    for name in ("repeat", "repeat_1", "repeat_2"):
        setattr(backbone, name, getattr(backbone, name)[:1])


def trim_inception_v3(backbone: Any) -> None:
    """Without the blocks that repeat the shapes of the one before."""
    for name in ("Mixed_5d", "Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7c"):
        setattr(backbone, name, nn.Identity())


def trim_stages(backbone: Any) -> None:
    """One block of a stage, but for the second stage, where the residual sum is seen."""
    backbone.blocks = nn.Sequential(
        *(stage[: 2 if index == 1 else 1] for index, stage in enumerate(backbone.blocks))
    )


def trim_regnet(backbone: Any) -> None:
    for stage in (backbone.s1, backbone.s2, backbone.s3, backbone.s4):
        for name in [name for name, _ in stage.named_children()][2:]:
            delattr(stage, name)


def trim_mixer(backbone: Any) -> None:
    backbone.blocks = backbone.blocks[:2]


FAMILIES = {
    "AlexNet": Family("alexnet", 64, trim=trim_alexnet),
    "VGG": Family("vgg11_bn", trim=trim_vgg),
    "GoogLeNet": Family("googlenet", 64),
    "Inception-v3": Family("inception_v3", 75, trim=trim_inception_v3),
    "Inception-v4": Family("inception_v4", 75, trim=trim_inception_v4),
    "Inception-ResNet": Family("inception_resnet_v2", 75, trim=trim_inception_resnet),
    "ResNet": Family("resnet18", kwargs=NARROW),
    "ResNet, bottleneck": Family("resnet50", kwargs=SHALLOW | NARROW),
    "ResNet-v2, pre-activation": Family(
        "resnetv2_50", kwargs=SHALLOW | {"channels": (16, 32, 48, 64)}
    ),
    "Wide ResNet": Family("wide_resnet50_2", kwargs=SHALLOW | NARROW),
    "DenseNet": Family("densenet121", kwargs={"growth_rate": 8, "block_config": (2, 2, 2, 2)}),
    "ResNeXt": Family("resnext50_32x4d", kwargs=SHALLOW | {"channels": (16, 32, 48, 64)}),
    "SENet": Family("seresnet18", kwargs=NARROW),
    "SENet, as published": Family("legacy_seresnet18", kwargs=SHALLOW),
    "MobileNet": Family("mobilenetv1_100", trim=trim_stages),
    "MobileNetV2": Family("mobilenetv2_035", trim=trim_stages),
    "EfficientNet": Family("efficientnet_b0", trim=trim_stages),
    "RegNetX": Family("regnetx_002", trim=trim_regnet),
    "RegNetY": Family("regnety_002", trim=trim_regnet),
    "ViT": Family(
        "vit_tiny_patch16_224", kwargs={"img_size": 32, "embed_dim": 48, "depth": 2, "num_heads": 3}
    ),
    "MLP-Mixer": Family("mixer_s32_224", 64, kwargs={"img_size": 64}, trim=trim_mixer),
}


def build(family: Family) -> Classifier:
    """Random weights, brought to where training would bring them: lively and well-conditioned."""
    torch.manual_seed(0)
    size = (family.size_px, family.size_px)
    classifier = Classifier(
        ClassifierSpec(family.backbone, LABELS, input_size=size, kwargs=family.kwargs)
    )
    family.trim(classifier.backbone)
    norms = [part for part in classifier.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
    for part in classifier.modules():
        if isinstance(part, nn.Linear) and not part.weight.any():
            nn.init.normal_(part.weight, std=0.1)  # the head of some starts at zero
    if norms:
        # Noise, and larger than the input: every channel then has a variance worth the name.
        noise = torch.randint(0, 256, (16, 2 * family.size_px, 2 * family.size_px, 3))
        with torch.no_grad():
            classifier.train()(noise.to(torch.uint8))
    return classifier.eval()


def run_bundle(bundle: Bundle, pixels: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(bundle.file(bundle.manifest.graphs["classify"].file))
    (probabilities,) = session.run(["probabilities"], {"image": pixels})
    return np.asarray(probabilities)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_exports(name: str, tmp_path: Path):
    family = FAMILIES[name]
    classifier = build(family)
    exported = export_classifier(
        classifier, classifier.spec, {}, tmp_path, ClassifierOptions(name="family")
    )
    bundle = read_bundle(exported.written.bundle.folder)
    pixels = images(5, size_px=family.size_px, seed=7).numpy()  # neither traced nor golden
    expected = run_torch(ClassificationGraph(classifier), {"image": pixels}, ("logits", "p"))
    assert np.ptp(expected["logits"], axis=0).max() > 1e-3, "the network answers all alike"
    np.testing.assert_allclose(run_bundle(bundle, pixels), expected["p"], atol=1e-4)


# -- what the bundle says --------------------------------------------------------------------------


def labelled(count: int, seed: int) -> LabelledPixels:
    """Images with the labels that the small classifier itself gives them."""
    pixels = images(count, seed=seed)
    labels = SmallClassifier().eval()(pixels).argmax(1)
    return LabelledPixels(pixels.numpy(), labels.numpy(), f"{count} smooth images")


METADATA = {
    "metrics": {"top1": 0.875},
    "provenance": {
        "command": "panoptes train classifier tiny --out /home/somebody/runs/tiny",
        "commit": "0123abcd",
        "data": "smooth images",
        "seed": 3,
    },
}


def export_small(repository: Path, **options: Any) -> ExportedClassifier:
    return export_classifier(
        SmallClassifier(),
        small_spec(),
        METADATA,
        repository,
        ClassifierOptions(name="small", evaluation=labelled(100, seed=5), **options),
    )


def quality(manifest: Manifest) -> dict[str, float]:
    return {entry.metric: entry.value for entry in manifest.quality}


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> ExportedClassifier:
    return export_small(tmp_path_factory.mktemp("single"))


def test_the_manifest_says_what_a_server_needs(single: ExportedClassifier):
    manifest = single.written.bundle.manifest
    assert (manifest.task, manifest.ref) == ("classify", "small:1")
    assert tuple(label.name for label in manifest.labels) == LABELS
    assert manifest.fit is not None
    assert (manifest.fit.mode, manifest.fit.height, manifest.fit.width) == ("crop", 16, 16)
    assert manifest.defaults == {"top_k": 5}
    graph = manifest.graphs["classify"]
    assert (graph.precision, graph.max_batch) == ("fp32", 64)
    assert [(t.name, t.dtype, t.shape) for t in graph.inputs] == [
        ("image", "uint8", ("batch", 16, 16, 3))
    ]
    assert [(t.name, t.dtype, t.shape) for t in graph.outputs] == [
        ("probabilities", "float32", ("batch", 5))
    ]


def test_the_manifest_proves_the_logits_though_the_graph_answers_probabilities(
    single: ExportedClassifier,
):
    entries = single.written.bundle.manifest.graphs["classify"].parity
    assert {(entry.output, entry.batch) for entry in entries} == {
        (output, batch) for output in ("logits", "probabilities") for batch in (1, 2, 3, 8)
    }
    assert all(entry.tolerance == 1e-4 for entry in entries)


def test_the_manifest_says_where_the_weights_come_from(single: ExportedClassifier):
    manifest = single.written.bundle.manifest
    origin = manifest.provenance
    assert origin.command.startswith("panoptes train classifier tiny --out tiny && ")
    assert (origin.commit, origin.data, origin.seed) == ("0123abcd", "smooth images", 3)
    trained, measured = (e for e in manifest.quality if e.metric == "top1")
    assert (trained.value, trained.data) == (0.875, "validation split, PyTorch")
    assert measured.value == 1.0
    assert measured.data == "100 smooth images, ONNX Runtime on the CPU"


def test_the_manifest_and_the_golden_tensors_survive_a_round_trip(single: ExportedClassifier):
    bundle = read_bundle(single.written.bundle.folder)
    assert bundle.manifest == single.written.bundle.manifest
    assert Manifest.model_validate_json(bundle.manifest.model_dump_json()) == bundle.manifest
    drift = check_golden(
        bundle, lambda _, inputs: {"probabilities": run_bundle(bundle, inputs["image"])}
    )
    assert drift["classify"] <= 1e-5


def test_the_card_is_a_file_of_the_bundle_and_says_the_figures(single: ExportedClassifier):
    bundle = single.written.bundle
    card = bundle.file("README.md").read_text()
    assert "README.md" in bundle.manifest.files
    for expected in ("# small, version 1", "ball, cube, cone", "| top1 | 1 |", "Apache-2.0"):
        assert expected in card
    assert "/home/somebody" not in card


def test_half_precision_agrees_in_a_smaller_file(single: ExportedClassifier, tmp_path: Path):
    half = export_small(tmp_path, precision="fp16")
    full_size, half_size = (
        e.written.bundle.manifest.files["classify.onnx"].size_bytes for e in (single, half)
    )
    assert half_size < 0.65 * full_size  # of so small a file, names are a good part
    found = quality(half.written.bundle.manifest)
    assert found["agreement_fp32"] >= 0.99
    assert found["top1_fp32"] == 1.0
    graph = half.written.bundle.manifest.graphs["classify"]
    assert graph.precision == "fp16"
    assert {entry.output for entry in graph.parity} == {"probabilities"}
    assert half.written.drift["classify"] * 2 <= graph.golden_tolerance


def test_int8_says_what_it_lost(tmp_path: Path):
    eight = export_small(tmp_path, precision="int8", calibration=labelled(96, seed=6))
    manifest = eight.written.bundle.manifest
    found = quality(manifest)
    assert manifest.graphs["classify"].precision == "int8"
    assert found["top1_fp32"] == 1.0
    assert found["top1"] == found["agreement_fp32"] >= 0.9
    assert "calibrated" in manifest.provenance.source
    assert eight.quantized is not None and len(eight.quantized.losses) == 4


def test_int8_without_calibration_is_refused(tmp_path: Path):
    with pytest.raises(ExportError, match="calibrate"):
        export_small(tmp_path, precision="int8")


def test_a_network_beyond_tolerance_leaves_no_bundle(tmp_path: Path):
    class Enormous(SmallClassifier):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image) * 1e5

    with pytest.raises(ParityError, match="logits differs"):
        export_classifier(Enormous(), small_spec(), {}, tmp_path, ClassifierOptions(name="huge"))
    assert not list(tmp_path.iterdir())
