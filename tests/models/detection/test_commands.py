"""`panoptes train detector` and `panoptes eval detector`, on real files."""

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from models.commands import evaluate, train
from models.data.world import SHAPES
from models.detection import load_detector
from models.detection.recipe import DetectorRecipe
from models.detection.training import DETECTOR
from models.training.plain import RecipeError, from_plain, to_plain
from tests.models.detection.rectangles import NAMES, plain_recipe, rectangle_arrays


def write_coco(folder: Path, count: int, seed: int) -> dict[str, str]:
    """Rectangles in COCO's format, with ids that are no row numbers."""
    folder.mkdir(parents=True)
    images, boxes, labels = rectangle_arrays(count, seed)
    annotations = []
    for image in range(count):
        Image.fromarray(images[image].numpy()).save(folder / f"{image}.png")
        for box, label in zip(boxes[image].tolist(), labels[image].tolist(), strict=True):
            if label >= 0:
                x1, y1, x2, y2 = box
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": 100 + image,
                        "category_id": 10 * label + 5,
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                    }
                )
    document = {
        "images": [
            {"id": 100 + i, "file_name": f"{i}.png", "width": 64, "height": 64}
            for i in range(count)
        ],
        "categories": [{"id": 10 * i + 5, "name": name} for i, name in enumerate(NAMES)],
        "annotations": annotations,
    }
    path = folder / "annotations.json"
    path.write_text(json.dumps(document))
    return {"images": str(folder), "annotations": str(path)}


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    plain = plain_recipe()
    plain["data"] = {
        "coco": {
            "train": write_coco(tmp_path / "train", 32, 0),
            "val": write_coco(tmp_path / "val", 8, 1),
        }
    }
    plain["training"]["steps"] = 3
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def test_coco_data_is_trained_on_and_evaluated(recipe_file: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "report"
    trained = CliRunner().invoke(train.app, ["detector", str(recipe_file), "--out", str(run)])
    assert trained.exit_code == 0, trained.output
    assert "finished at step 3" in trained.output
    _, spec, metadata = load_detector(run / "last")
    assert spec.labels == NAMES
    assert metadata["provenance"]["data"] == "COCO annotations.json, 32 images"

    options = ["--out", str(out)]
    measured = CliRunner().invoke(evaluate.app, ["detector", str(run / "last"), *options])
    assert measured.exit_code == 0, measured.output
    report = json.loads((out / "evaluation.json").read_text())
    assert report["samples"] == 8 and 0 <= report["AP"] <= report["AP50"] <= 1
    assert set(report["per_class"]) == set(NAMES)
    assert all(0 <= point["f1"] <= 1 for point in report["operating_points"])
    for name in ("precision-recall.png", "worst.png"):
        with Image.open(out / name) as picture:
            assert picture.width > 200


def test_another_coco_file_can_be_evaluated(recipe_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ["detector", str(recipe_file), "--out", str(run), "--steps", "1"]
    assert CliRunner().invoke(train.app, arguments).exit_code == 0
    other = write_coco(tmp_path / "other", 4, 2)
    options = ["--images", other["images"], "--annotations", other["annotations"]]
    result = CliRunner().invoke(evaluate.app, ["detector", str(run / "last"), *options])
    assert result.exit_code == 0 and "4 images" in result.output, result.output
    result = CliRunner().invoke(evaluate.app, ["detector", str(run / "last"), *options[:2]])
    assert result.exit_code == 2 and "annotations together" in result.output


def test_the_tiny_recipe_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANOPTES_CACHE", str(tmp_path / "cache"))
    run = tmp_path / "run"
    options = ["--out", str(run), "--set", "data.world.objects=3"]
    trained = CliRunner().invoke(train.app, ["detector", "tiny", *options])
    assert trained.exit_code == 0, trained.output
    _, spec, _ = load_detector(run / "best")
    assert spec.labels == SHAPES
    measured = CliRunner().invoke(evaluate.app, ["detector", str(run / "best")])
    assert measured.exit_code == 0 and "test split" in measured.output, measured.output
    assert (run / "best-evaluation" / "evaluation.json").is_file()


def test_a_folder_without_a_checkpoint_is_explained(tmp_path: Path) -> None:
    result = CliRunner().invoke(evaluate.app, ["detector", str(tmp_path)])
    assert result.exit_code == 2 and "is no checkpoint" in result.output


SHIPPED = sorted(path.stem for path in DETECTOR.recipes.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_are_valid(name: str) -> None:
    recipe = DETECTOR.read(name)
    assert from_plain(DetectorRecipe, to_plain(recipe)) == recipe


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(RecipeError, match="no recipe 'x'; those that come with the package are"):
        DETECTOR.read("x")
