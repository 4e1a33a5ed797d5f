"""Detectors in two stages and by sets learn in seconds what can be learnt in seconds."""

from pathlib import Path
from typing import Any

import pytest

from models.detection.recipe import DetectorRecipe
from models.detection.task import DetectionTask
from models.detection.training import DETECTOR
from models.training.plain import from_plain
from models.training.trainer import Trainer
from tests.models.detection.rectangles import SIZE, plain_recipe, rectangle_scenes

BACKBONE = {"name": "resnet10t", "kwargs": {"channels": [8, 16, 24, 32], "stem_width": 8}}

TWO_STAGES: dict[str, Any] = {
    "backbone": BACKBONE,
    "input_size": list(SIZE),
    "channels": 16,
    "norm": "batch",
    "strides": [4, 8],
    "anchor_sizes_px": [[14], [22], [40]],
    "anchor_aspects": [0.7, 1.4],
    "canonical_px": 40.0,
    "proposals_before_nms": 40,
    "proposals": 20,
    "pool_cells": 4,
    "head_width": 48,
    "sampled_regions": 16,
    "candidates": 30,
}

BY_QUERIES: dict[str, Any] = {
    "backbone": BACKBONE,
    "input_size": list(SIZE),
    "stride": 8,
    "width": 32,
    "heads": 4,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "feedforward": 64,
    "dropout": 0.0,
    "queries": 8,
}

UNCHANGED = {
    **dict.fromkeys(("aspect", "shift", "flip", "brightness", "contrast"), 0.0),
    **dict.fromkeys(("saturation", "tint", "sharpness"), 0.0),
    "zoom": [1.0, 1.0],
}


def train(plain: dict[str, Any], folder: Path, *, images: int, same: bool = False) -> float:
    """The best AP50, on other images than those that trained unless `same`."""
    recipe = from_plain(DetectorRecipe, plain)
    trained = rectangle_scenes(images, 0)
    task = DetectionTask(recipe, trained, trained if same else rectangle_scenes(32, 1))
    summary = Trainer(task, recipe.training, folder, document={}).run()
    return summary.metrics["AP50"]


def test_faster_rcnn_learns_rectangles(tmp_path: Path) -> None:
    loss = {"proposal_weight": 3.0, "box_weight": 3.0}
    plain = plain_recipe("fasterrcnn", network=TWO_STAGES, loss=loss)
    plain["training"]["optimizer"]["lr"] = 4e-3
    assert train(plain, tmp_path, images=256) > 0.7


def test_detr_learns_a_few_images_by_heart(tmp_path: Path) -> None:
    """Its matching is slow to settle: general rectangles would take it minutes."""
    plain = plain_recipe("detr", network=BY_QUERIES, loss={}, augment=UNCHANGED)
    plain["training"] |= {"steps": 300, "batch_size": 8, "optimizer": {"lr": 3e-3}}
    plain["training"]["clip_norm"] = 0.5
    assert train(plain, tmp_path, images=8, same=True) > 0.8


@pytest.mark.parametrize("name", ["tabletop-fasterrcnn", "tabletop-detr"])
def test_shipped_recipes_describe_a_network(name: str) -> None:
    recipe = DETECTOR.read(name)
    assert recipe.name == name
    spec = recipe.spec(("ball", "cube"))
    assert all(side % 32 == 0 for side in spec.input_size)
