"""`panoptes train segmenter` and `panoptes eval segmenter`, on real files."""

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from models.commands import evaluate, train
from models.segmentation import load_segmenter
from models.segmentation.training import SEGMENTER
from models.training.plain import RecipeError, to_plain
from tests.models.segmentation.squares import NAMES, square_scenes, tiny_recipe, write_panoptic


def test_cocos_panoptic_files_are_trained_on_and_evaluated(tmp_path: Path) -> None:
    splits = {
        split: asdict(write_panoptic(tmp_path / split, square_scenes(count, seed)))
        for seed, (split, count) in enumerate((("train", 8), ("val", 3)))
    }
    plain = to_plain(tiny_recipe(steps=2, ema_decay=0.5))
    plain["data"] = {"panoptic": splits}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(plain))
    run, out = tmp_path / "run", tmp_path / "report"
    arguments = ["segmenter", str(tmp_path / "recipe.yaml"), "--out", str(run)]
    trained = CliRunner().invoke(train.app, arguments)
    assert trained.exit_code == 0, trained.output
    _, spec, metadata = load_segmenter(run / "best")
    assert spec.labels == NAMES and "PQ" in metadata["metrics"]
    assert metadata["provenance"]["data"] == "COCO panoptic panoptic.json, 8 images"

    # Without a test split, what validated it is measured.
    measured = CliRunner().invoke(evaluate.app, ["segmenter", str(run / "best"), "--out", str(out)])
    assert measured.exit_code == 0, measured.output
    assert "3 images" in measured.output and "things" in measured.output
    for name in ("typical.png", "worst.png"):
        with Image.open(out / name) as picture:
            assert picture.width > 700
    lacking = ["segmenter", str(run / "best"), "--images", str(tmp_path)]
    assert "go together" in CliRunner().invoke(evaluate.app, lacking).stderr


@pytest.mark.parametrize("name", ["tabletop-panoptic", "tabletop-panoptic-256", "tiny"])
def test_recipes_that_come_along_can_be_read(name: str) -> None:
    recipe = SEGMENTER.read(name)
    assert recipe.data.world is not None
    assert recipe.spec(("a", "b"), (True, False)).queries >= recipe.data.world.objects + 2


def test_a_recipe_names_one_source_of_data() -> None:
    with pytest.raises(RecipeError, match="exactly one of `world`, `panoptic`"):
        SEGMENTER.read("tiny", ["data.world=null"])
