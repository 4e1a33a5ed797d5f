"""`panoptes train depth` and `panoptes eval depth`, on real files."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from models.commands import evaluate, train
from models.depth import load_depth
from models.depth.recipe import DepthRecipe
from models.depth.training import DEPTH
from models.training.plain import RecipeError, from_plain, to_plain
from tests.models.depth.floors import BASELINE_M, FOCAL_PX, floor_arrays, floor_recipe


def write_split(folder: Path, count: int, seed: int) -> None:
    """Floors in KITTI's form."""
    left, right, depth = floor_arrays(count, seed)
    for name in ("left", "right", "depth"):
        (folder / name).mkdir(parents=True)
    for i in range(count):
        Image.fromarray(left[i].numpy()).save(folder / "left" / f"{i}.png")
        Image.fromarray(right[i].numpy()).save(folder / "right" / f"{i}.png")
        steps = (depth[i] * 256).round().numpy().astype(np.uint16)
        Image.fromarray(steps).save(folder / "depth" / f"{i}.png")
    p2 = f"{FOCAL_PX} 0 32 0 0 {FOCAL_PX} 32 0 0 0 1 0"
    p3 = f"{FOCAL_PX} 0 32 {-FOCAL_PX * BASELINE_M} 0 {FOCAL_PX} 32 0 0 0 1 0"
    (folder / "calib.txt").write_text(f"P2: {p2}\nP3: {p3}\n")


def test_stereo_folders_are_trained_on_and_evaluated(tmp_path: Path) -> None:
    for seed, (split, count) in enumerate((("train", 8), ("val", 2), ("test", 3))):
        write_split(tmp_path / "floors" / split, count, seed)
    plain = to_plain(floor_recipe())
    plain["data"] = {"folder": {"root": str(tmp_path / "floors")}}
    plain["training"]["steps"] = 2
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(plain))
    run, out = tmp_path / "run", tmp_path / "report"
    arguments = ["depth", str(tmp_path / "recipe.yaml"), "--out", str(run)]
    trained = CliRunner().invoke(train.app, arguments)
    assert trained.exit_code == 0, trained.output
    _, spec, metadata = load_depth(run / "best")
    assert spec.metres == pytest.approx(BASELINE_M, rel=1e-4)
    assert metadata["provenance"]["data"] == "stereo folder floors/train, 8 pairs"

    measured = CliRunner().invoke(evaluate.app, ["depth", str(run / "best"), "--out", str(out)])
    assert measured.exit_code == 0, measured.output
    assert "floors/test, 3 pairs" in measured.output and "median scaled" in measured.output
    report = json.loads((out / "evaluation.json").read_text())
    assert report["samples"] == 3 and report["abs_rel"] == pytest.approx(report["spec_abs_rel"])
    for name in ("typical.png", "worst.png"):
        with Image.open(out / name) as picture:
            assert picture.width > 700

    other = ["--folder", str(tmp_path / "floors"), "--split", "val"]
    measured = CliRunner().invoke(evaluate.app, ["depth", str(run / "best"), *other])
    assert measured.exit_code == 0 and "floors/val, 2 pairs" in measured.output, measured.output


def test_the_tiny_recipe_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOPTES_CACHE", str(tmp_path / "cache"))
    run = tmp_path / "run"
    trained = CliRunner().invoke(train.app, ["depth", "tiny", "--out", str(run)])
    assert trained.exit_code == 0, trained.output
    measured = CliRunner().invoke(evaluate.app, ["depth", str(run / "best"), "--scenes", "2"])
    assert measured.exit_code == 0 and "2 stereo pairs" in measured.output, measured.output


def test_a_folder_without_a_checkpoint_is_explained(tmp_path: Path) -> None:
    result = CliRunner().invoke(evaluate.app, ["depth", str(tmp_path)])
    assert result.exit_code == 2 and "is no checkpoint" in result.output


@pytest.mark.parametrize("name", sorted(p.stem for p in DEPTH.recipes.glob("*.yaml")))
def test_shipped_recipes_are_valid(name: str) -> None:
    recipe = DEPTH.read(name)
    assert from_plain(DepthRecipe, to_plain(recipe)) == recipe


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(RecipeError, match="no recipe 'x'; those that come with the package are"):
        DEPTH.read("x")
