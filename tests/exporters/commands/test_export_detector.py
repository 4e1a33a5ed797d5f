from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from exporters.commands.export import app
from models.backbones import BackboneSpec
from models.data.world import SHAPES
from models.detection import build_detector, save_detector
from models.detection.centernet.spec import CenterNetSpec
from service.bundle import read_bundle
from tests.models.training.conftest import fresh_accelerator

__all__ = ["fresh_accelerator"]

SPEC = CenterNetSpec(
    labels=SHAPES,
    backbone=BackboneSpec("resnet10t", {"channels": [8, 16, 24, 32], "stem_width": 8}),
    input_size=(64, 64),
    channels=16,
    head_channels=16,
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that knows nothing yet, of a recipe on a very small world."""
    folder = tmp_path_factory.mktemp("work")
    torch.manual_seed(0)
    world = {"train": 8, "val": 4, "test": 8, "size_px": 64, "root": str(folder / "world")}
    metadata = {"recipe": {"data": {"world": {**world, "supersample": 1}}}}
    save_detector(folder / "best", SPEC, build_detector(SPEC).state_dict(), metadata)
    save_detector(folder / "orphan", SPEC, build_detector(SPEC).state_dict(), {})
    return folder


def export(work: Path, repository: Path, *options: str, checkpoint: str = "best") -> Result:
    arguments = ["detector", str(work / checkpoint), "--name", "solids"]
    return CliRunner().invoke(app, [*arguments, "--repository", str(repository), *options])


def test_it_is_measured_on_unseen_scenes_and_says_so(work: Path, tmp_path: Path) -> None:
    result = export(work, tmp_path, "--evaluate", "6", "--max-batch", "4", "--precision", "fp16")
    assert result.exit_code == 0, result.output
    for expected in ("solids:1", "detect.onnx", "golden inputs with", "AP ", "as fp32: AP "):
        assert expected in result.output
    manifest = read_bundle(tmp_path / "solids" / "1").manifest
    assert manifest.graphs["detect"].max_batch == 4
    assert manifest.defaults["score_threshold"] == 0.3
    measured = {quality.metric: quality for quality in manifest.quality}
    assert {"AP", "AP50", "AR", "AP_fp32"} <= set(measured)
    assert "test split of seed 0, 6 scenes" in measured["AP"].data


def test_without_evaluation_the_card_has_no_accuracy(work: Path, tmp_path: Path) -> None:
    result = export(work, tmp_path, "--evaluate", "0", "--score-threshold", "0.5")
    assert result.exit_code == 0, result.output
    assert "not evaluated" in result.output
    manifest = read_bundle(tmp_path / "solids" / "1").manifest
    assert manifest.defaults["score_threshold"] == 0.5
    assert manifest.quality == ()


@pytest.mark.parametrize(
    ("checkpoint", "options", "said"),
    [
        ("best", ["--name", "Not A Name"], "small letters"),
        ("nowhere", [], "nowhere"),
        ("orphan", [], "does not say what data"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    work: Path, tmp_path: Path, checkpoint: str, options: list[str], said: str
) -> None:
    result = export(work, tmp_path, *options, checkpoint=checkpoint)
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []
