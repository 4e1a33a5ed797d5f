"""`panoptes train classifier` and `panoptes eval classifier`, on real files."""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from models.classification import load_classifier
from models.classification.recipe import ClassifierRecipe
from models.classification.training import CLASSIFIER
from models.commands import evaluate, train
from models.training.plain import RecipeError, from_plain, to_plain
from tests.models.classification.stripes import NAMES, striped_recipe, write_striped_folder


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    """A recipe for a folder of real JPEGs."""
    write_striped_folder(tmp_path / "photos", {"train": 96, "val": 32, "test": 32})
    plain = to_plain(striped_recipe())
    plain["data"] = {"folder": {"root": str(tmp_path / "photos")}}
    plain["training"]["steps"] = 40
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def test_a_folder_of_jpegs_is_learnt_and_evaluated(recipe_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    trained = CliRunner().invoke(train.app, ["classifier", str(recipe_file), "--out", str(run)])
    assert trained.exit_code == 0, trained.output
    assert "finished at step 40" in trained.output
    assert list((run / "logs").iterdir())

    _, spec, metadata = load_classifier(run / "best")
    assert spec.labels == NAMES and metadata["recipe"]["name"] == "stripes"
    assert metadata["provenance"]["data"] == "image folder photos/train, 96 images"

    out = tmp_path / "report"
    measured = CliRunner().invoke(
        evaluate.app, ["classifier", str(run / "best"), "--out", str(out)]
    )
    assert measured.exit_code == 0, measured.output
    assert "photos/test" in measured.output
    report = json.loads((out / "evaluation.json").read_text())
    assert report["samples"] == 32 and report["top1"] > 0.75 and report["top5"] == 1.0
    assert 0 <= report["ece"] <= 1 and set(report["recall"]) == set(NAMES)
    assert len(report["mistakes"]) == round(32 * (1 - report["top1"]))
    with Image.open(out / "confusion.png") as picture:
        assert picture.width > 300


def test_assignments_and_steps_override_the_recipe(recipe_file: Path, tmp_path: Path) -> None:
    options = ["--out", str(tmp_path / "run"), "--steps", "2", "--set", "label_smoothing=0.1"]
    result = CliRunner().invoke(train.app, ["classifier", str(recipe_file), *options])
    assert result.exit_code == 0 and "finished at step 2" in result.output
    recipe = load_classifier(tmp_path / "run" / "last")[2]["recipe"]
    assert recipe["label_smoothing"] == 0.1 and recipe["training"]["steps"] == 2


def test_mistakes_are_drawn(recipe_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["classifier", str(recipe_file), "--out", str(run), "--steps", "1"]
    assert CliRunner().invoke(train.app, arguments).exit_code == 0
    result = CliRunner().invoke(evaluate.app, ["classifier", str(run / "last")])
    assert result.exit_code == 0, result.output
    assert (run / "last-evaluation" / "mistakes.png").is_file()


def test_another_folder_can_be_evaluated(recipe_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["classifier", str(recipe_file), "--out", str(run), "--steps", "1"]
    assert CliRunner().invoke(train.app, arguments).exit_code == 0
    write_striped_folder(tmp_path / "other", {"val": 8})
    options = ["--folder", str(tmp_path / "other")]
    result = CliRunner().invoke(evaluate.app, ["classifier", str(run / "last"), *options])
    assert result.exit_code == 0 and "other/val, 8 images" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "those that come with the package are finetune, tabletop, tiny"),
        (["tiny", "--set", "training.lr=3"], "unknown key 'lr'"),
        (["tiny", "--set", "training.optimizer.name=sdg"], "'sdg' is none of 'sgd'"),
        (["tiny", "--set", "data.folder.root=x"], "exactly one of `world` and `folder`"),
    ],
)
def test_a_wrong_recipe_is_explained(arguments: list[str], message: str, tmp_path: Path) -> None:
    options = ["--out", str(tmp_path / "run")]
    result = CliRunner().invoke(train.app, ["classifier", *arguments, *options])
    assert result.exit_code == 2
    assert message in result.output


def test_a_folder_without_a_checkpoint_is_explained(tmp_path: Path) -> None:
    result = CliRunner().invoke(evaluate.app, ["classifier", str(tmp_path)])
    assert result.exit_code == 2 and "is no checkpoint" in result.output


@pytest.mark.parametrize("name", ["tabletop", "finetune", "tiny"])
def test_shipped_recipes_are_valid(name: str) -> None:
    recipe = CLASSIFIER.read(name)
    assert from_plain(ClassifierRecipe, to_plain(recipe)) == recipe


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(RecipeError, match="no recipe 'x'"):
        CLASSIFIER.read("x")
