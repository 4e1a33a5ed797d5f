from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from exporters.commands.export import app
from models.classification import Classifier, ClassifierSpec, save_classifier
from service.bundle import read_bundle

LABELS = ("dark", "light")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint and an image folder that its recipe names."""
    folder = tmp_path_factory.mktemp("work")
    torch.manual_seed(0)
    spec = ClassifierSpec(
        "resnet10t", LABELS, input_size=(32, 32), kwargs={"channels": [8, 8, 16, 16]}
    )
    data = {"folder": {"root": str(folder / "photos")}, "world": None}
    metadata = {"metrics": {"top1": 0.5}, "recipe": {"data": data}}
    save_classifier(folder / "best", spec, Classifier(spec).state_dict(), metadata)
    for split in ("train", "val"):
        for label, grey in zip(LABELS, (30, 220), strict=True):
            (folder / "photos" / split / label).mkdir(parents=True)
            for index in range(8):
                image = Image.new("RGB", (40, 36), (grey + index, grey, grey - index))
                image.save(folder / "photos" / split / label / f"{index}.png")
    return folder


def export(work: Path, repository: Path, *options: str) -> Result:
    arguments = ["classifier", str(work / "best"), "--name", "shades"]
    return CliRunner().invoke(app, [*arguments, "--repository", str(repository), *options])


def test_versions_count_up_and_the_summary_says_what_was_measured(work: Path, tmp_path: Path):
    first = export(work, tmp_path)
    assert first.exit_code == 0, first.output
    for expected in ("shades:1", "classify.onnx", "logits", "golden drift", "top-1"):
        assert expected in first.output
    second = export(work, tmp_path, "--precision", "fp16", "--max-batch", "4")
    assert second.exit_code == 0, second.output
    manifest = read_bundle(tmp_path / "shades" / "2").manifest
    assert manifest.graphs["classify"].precision == "fp16"
    assert manifest.graphs["classify"].max_batch == 4
    assert "both name the same label" in second.output


def test_int8_calibrates_on_the_recipes_training_images(work: Path, tmp_path: Path):
    result = export(work, tmp_path, "--precision", "int8", "--licence", "MIT")
    assert result.exit_code == 0, result.output
    manifest = read_bundle(tmp_path / "shades" / "1").manifest
    assert (manifest.graphs["classify"].precision, manifest.licence) == ("int8", "MIT")
    assert "image folder photos/train" in manifest.provenance.source
    assert "calibrated by" in result.output


def test_without_evaluation_the_card_has_no_accuracy(work: Path, tmp_path: Path):
    result = export(work, tmp_path, "--evaluate", "none")
    assert result.exit_code == 0, result.output
    assert "not evaluated" in result.output


def test_a_version_is_never_written_twice(work: Path, tmp_path: Path):
    assert export(work, tmp_path, "--version", "5", "--evaluate", "none").exit_code == 0
    again = export(work, tmp_path, "--version", "5", "--evaluate", "none")
    assert again.exit_code == 2
    assert "exists already" in again.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--name", "Not A Name"], "small letters"),
        (["--evaluate", "/nowhere"], "no images to evaluate on"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    options: list[str], said: str, work: Path, tmp_path: Path
):
    result = export(work, tmp_path, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path):
    result = CliRunner().invoke(app, ["classifier", str(tmp_path), "--name", "x"])
    assert result.exit_code == 2
    assert "no checkpoint" in result.stderr


def test_help_needs_no_torch():
    import subprocess
    import sys

    program = (
        "import sys; from exporters.commands.export import app; "
        "assert not {'torch', 'onnx', 'onnxruntime', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
