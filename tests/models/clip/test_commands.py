"""`panoptes train clip` and `panoptes eval clip`, on real files."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from models.clip import load_clip
from models.clip.training import CLIP
from models.commands import evaluate, train
from models.training.plain import to_plain
from tests.models.clip.tiny import square_captions, tiny_recipe


def write_pairs(folder: Path, count: int, seed: int) -> None:
    folder.mkdir(parents=True)
    squares = square_captions(count, seed)
    for i, pixels in enumerate(squares.read(torch.arange(count), (32, 32)).numpy()):
        Image.fromarray(pixels).save(folder / f"{i:03}.png")
        (folder / f"{i:03}.txt").write_text(squares.texts(i)[0])


def write_classes(folder: Path) -> None:
    for name, colour in (("red square", (220, 30, 30)), ("blue square", (30, 60, 230))):
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (40, 32), colour).save(folder / name / "0.png")


def test_pairs_in_a_folder_are_trained_on_and_searched(tmp_path: Path) -> None:
    for seed, (split, count) in enumerate((("train", 24), ("val", 8), ("test", 12))):
        write_pairs(tmp_path / "pairs" / split, count, seed)
    write_classes(tmp_path / "things" / "test")
    plain = to_plain(tiny_recipe(steps=2))
    plain["data"] = {"pairs": {"root": str(tmp_path / "pairs")}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(plain))
    run, out = tmp_path / "run", tmp_path / "report"
    arguments = ["clip", str(tmp_path / "recipe.yaml"), "--out", str(run)]
    trained = CliRunner().invoke(train.app, arguments)
    assert trained.exit_code == 0, trained.output
    assert "best score" in trained.output
    _, _, _, metadata = load_clip(run / "best")
    assert metadata["provenance"]["data"] == "caption folder pairs/train, 24 images"

    measured = CliRunner().invoke(
        evaluate.app, ["clip", str(run / "best"), "--captions", "4", "--out", str(out)]
    )
    assert measured.exit_code == 0, measured.output
    assert "pairs/test, 12 images: the first 4 captions that differ" in measured.output
    report = json.loads((out / "evaluation.json").read_text())
    assert report["retrieval"]["captions"] == 4 and "zero_shot" not in report
    assert report["retrieval"]["text_to_image_10"] == 1.0
    with Image.open(out / "retrievals.png") as picture:
        assert picture.width > 500

    named = ["--classes", str(tmp_path / "things"), "--template", "a {}", "--template", "the {}"]
    measured = CliRunner().invoke(
        evaluate.app, ["clip", str(run / "best"), *named, "--out", str(out)]
    )
    assert measured.exit_code == 0, measured.output
    report = json.loads((out / "evaluation.json").read_text())
    assert report["zero_shot"]["templates"] == ["a {}", "the {}"]
    assert report["zero_shot"]["names"] == 2 and "retrieval" not in report


def test_what_cannot_be_measured_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(evaluate.app, ["clip", str(tmp_path)])
    assert done.exit_code == 2 and "no checkpoint" in done.output


@pytest.mark.parametrize("name", ["tabletop", "tiny"])
def test_the_shipped_recipes_read(name: str) -> None:
    assert CLIP.read(name).name == f"{name}-clip"
