import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from exporters.commands.importing import app
from exporters.session import CpuSession
from models.detection import load_detector
from service.bundle import Manifest, read_bundle
from tests.exporters.checkpoints.test_detectors import (
    TALL,
    as_first_published,
    hugging_face_detr,
    pictures,
    torchvision_detections,
    torchvision_model,
)

NAMES = "__background__\nant\nbee\nN/A\ncat\ndog\n"


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.txt"
    path.write_text(NAMES)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def imported(result: Result, folder: Path) -> Manifest:
    assert result.exit_code == 0, result.output
    return read_bundle(folder).manifest


def write_photographs(folder: Path) -> None:
    """Three pictures, each with a bee, in COCO's format."""
    (folder / "photos").mkdir()
    for index, pixels in enumerate(pictures((80, 60), 3)):
        Image.fromarray(pixels.numpy()).save(folder / "photos" / f"{index}.png")
    bee = {"category_id": 7, "bbox": [5, 5, 30, 40], "iscrowd": 0, "area": 1200}
    size = {"width": 60, "height": 80}
    document = {
        "images": [{"id": i, "file_name": f"{i}.png", **size} for i in range(3)],
        "categories": [{"id": 7, "name": "bee"}],
        "annotations": [{"id": i, "image_id": i, **bee} for i in range(3)],
    }
    (folder / "boxes.json").write_text(json.dumps(document))


def test_a_torchvision_file_becomes_a_bundle_that_detects_the_same(
    labels: Path, tmp_path: Path
) -> None:
    write_photographs(tmp_path)
    layout = "torchvision-retinanet"
    model = torchvision_model(layout, "resnet18", TALL)
    torch.save(as_first_published(model.state_dict(), layout), tmp_path / "model.pth")
    result = run(
        *("detector", tmp_path / "model.pth", "--layout", layout, "--name", "insects"),
        *("--labels", labels, "--size", "128x64", "--repository", tmp_path / "bundles"),
        *("--licence", "BSD-3-Clause", "--checkpoint", tmp_path / "weights"),
        *("--images", tmp_path / "photos", "--annotations", tmp_path / "boxes.json"),
        *("--evaluate", "2"),
    )
    manifest = imported(result, tmp_path / "bundles" / "insects" / "1")
    assert "insects:1" in result.output
    assert [label.name for label in manifest.labels] == ["ant", "bee", "cat", "dog"]
    assert manifest.provenance.source == "model.pth, torchvision-retinanet"
    assert manifest.licence == "BSD-3-Clause"
    (measured,) = [entry for entry in manifest.quality if entry.metric == "AP"]
    assert "3 images, 2 drawn by seed 0" in measured.data
    assert manifest.fit is not None and (manifest.fit.height, manifest.fit.width) == TALL
    images = pictures(TALL)
    session = CpuSession(tmp_path / "bundles" / "insects" / "1" / "detect.onnx")
    thresholds = {
        "score_threshold": np.full((2, 1), 0.05, np.float32),
        "iou_threshold": np.full((2, 1), 0.5, np.float32),
    }
    found = session.run({"image": images.numpy(), **thresholds})
    for image, expected in enumerate(torchvision_detections(model, images)):
        count = int(found["count"][image, 0])
        assert count == min(100, len(expected["scores"])) and count > 5
        scores = expected["scores"][:count].numpy()
        np.testing.assert_allclose(found["scores"][image, :count], scores, atol=1e-3)
    detector, spec, metadata = load_detector(tmp_path / "weights")
    assert spec.family == "retinanet" and detector.spec.labels == ("ant", "bee", "cat", "dog")
    assert metadata["provenance"]["source"] == "model.pth, torchvision-retinanet"


def test_a_folder_of_hugging_face_becomes_a_bundle(labels: Path, tmp_path: Path) -> None:
    hugging_face_detr("resnet18", tmp_path / "published")
    result = run(
        *("detector", tmp_path / "published", "--layout", "hf-detr", "--name", "insects"),
        *("--labels", labels, "--size", "64x96", "--repository", tmp_path / "bundles"),
    )
    manifest = imported(result, tmp_path / "bundles" / "insects" / "1")
    assert manifest.provenance.source == "published, hf-detr"
    assert "iou_threshold" not in manifest.defaults


def test_a_classifier_becomes_a_bundle(tmp_path: Path) -> None:
    import timm

    weights = timm.create_model("resnet10t", num_classes=3).state_dict()
    torch.save({"state_dict": weights}, tmp_path / "model.pth")
    (tmp_path / "labels.txt").write_text("ant\nbee\ncat\n")
    result = run(
        *("classifier", tmp_path / "model.pth", "--backbone", "resnet10t", "--name", "insects"),
        *("--labels", tmp_path / "labels.txt", "--size", "64x64"),
        *("--repository", tmp_path / "bundles"),
    )
    manifest = imported(result, tmp_path / "bundles" / "insects" / "1")
    assert manifest.task == "classify" and manifest.provenance.source == "model.pth, timm"
    assert [label.name for label in manifest.labels] == ["ant", "bee", "cat"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--size", "64"), "is not HEIGHTxWIDTH"),
        (("--size", "100x64"), "divide by 32"),
        (("--labels", "nowhere.txt"), "no file of labels"),
        (("--images", "photos"), "go together"),
        ((), "torchvision-fasterrcnn has no a"),
    ],
)
def test_what_is_wrong_is_said(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "x.safetensors")
    arguments = ("--layout", "torchvision-fasterrcnn", "--name", "x", *options)
    result = run("detector", tmp_path / "x.safetensors", *arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
