"""The whole way on the tabletop world, a few scenes of it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.classification import load_classifier
from models.commands import evaluate, train
from models.data.world import OBJECT_NAMES


def test_the_tiny_recipe_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOPTES_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "run"
    options = ["--out", str(out), "--steps", "3", "--set", "data.world.train=64"]
    trained = CliRunner().invoke(train.app, ["classifier", "tiny", *options])
    assert trained.exit_code == 0, trained.output
    _, spec, metadata = load_classifier(out / "best")
    assert spec.labels == OBJECT_NAMES
    assert "tabletop world" in metadata["provenance"]["data"]
    options = ["--scenes", "40"]
    measured = CliRunner().invoke(evaluate.app, ["classifier", str(out / "best"), *options])
    assert measured.exit_code == 0 and "test split" in measured.output
    assert "40 images" in measured.output
