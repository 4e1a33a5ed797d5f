from __future__ import annotations

import json
from pathlib import Path

import torch
from PIL import Image
from typer.testing import CliRunner

from models.backbones.spec import BackboneSpec
from models.classification import Classifier, ClassifierSpec, save_classifier
from models.clip import TextSpec, shipped_tokenizer
from models.clip.tokenizing import of_length
from models.commands.evaluate import app
from models.data.world import OBJECT_NAMES, SHAPES
from models.detection.centernet.spec import CenterNetSpec
from models.detection.checkpoint import save_detector
from models.detection.families import build_detector
from models.diffusion import AutoencoderSpec, Painter, PainterSpec, UNetSpec, save_painter

NARROW = {"channels": [4, 8, 8, 16], "stem_width": 4}


def test_a_painter_is_judged_beside_what_is_possible(tmp_path: Path) -> None:
    torch.manual_seed(0)
    spec = PainterSpec(
        autoencoder=AutoencoderSpec(channels=(8, 16), blocks=1, groups=4, patch=2),
        unet=UNetSpec(channels=(8,), attention=(True,), blocks=1, heads=2, context=16, groups=4),
        text=TextSpec(vocabulary=512, length=24, dim=16, layers=1, heads=2),
        image_size=(64, 64),
    )
    world = {"test": 9, "size_px": 64, "supersample": 1, "root": str(tmp_path / "world")}
    tokenizer = of_length(shipped_tokenizer(), 24)
    metadata = {"recipe": {"data": {"world": world}}}
    painter = Painter(spec).state_dict()
    save_painter(tmp_path / "painter", spec, tokenizer, painter, metadata)
    looks = CenterNetSpec(
        labels=SHAPES, backbone=BackboneSpec("resnet10t", NARROW), input_size=(64, 64)
    )
    save_detector(tmp_path / "detector", looks, build_detector(looks).state_dict(), {})
    names = ClassifierSpec("resnet10t", OBJECT_NAMES, (64, 64), NARROW)
    save_classifier(tmp_path / "classifier", names, Classifier(names).state_dict(), {})

    arguments = ["painter", str(tmp_path / "painter"), "--prompts", "9", "--steps", "2"]
    arguments += ["--sheet", "a red cube", "--sheet", "two blue cones"]
    for part in ("detector", "classifier", "out"):
        arguments += [f"--{part}", str(tmp_path / part)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert report["prompts"] == 9 and report["settings"]["steps"] == 2
    for name in ("true", "real_true", "rebuilt_true", "precision", "recall"):
        assert 0 <= report[name] <= 1, name
    assert report["frechet"] > 0
    assert (tmp_path / "out" / "painted.png").is_file()
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.width > 6 * 192 and 2 * 192 < sheet.height < 3 * 192

    other = [*arguments[:-4], "--classifier", str(tmp_path / "painter")]
    refused = CliRunner().invoke(app, other)
    assert refused.exit_code == 2 and "not a classifier" in refused.output
