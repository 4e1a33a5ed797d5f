"""From scenes to a trained segmenter, and back from its folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.segmentation import Segmenter, load_segmenter
from models.segmentation.evaluation import evaluate_segmenter
from models.segmentation.segmenting import Shown, segment_all, to_image
from models.segmentation.task import SegmentationTask
from models.training.checkpoint import CheckpointError, write_checkpoint
from models.training.starting import start_from
from models.training.task import Place, Share
from models.training.trainer import Trainer
from tests.models.segmentation.squares import (
    IS_THING,
    NAMES,
    plain_network,
    square_scenes,
    tiny_recipe,
    tiny_spec,
    write_panoptic,
)


def test_a_tiny_network_learns_squares(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    task = SegmentationTask(recipe, square_scenes(64, 0), square_scenes(24, 1))
    untrained = task.evaluate(task.network.eval(), Place(torch.device("cpu")))
    Trainer(task, recipe.training, tmp_path, document={}).run()
    network, spec, metadata = load_segmenter(tmp_path / "best")
    figures = metadata["metrics"]
    assert untrained["PQ"] < 0.1
    assert figures["PQ_st"] > 0.8 and figures["PQ_th"] > 0.3
    assert spec.labels == NAMES and spec.is_thing == IS_THING
    scenes = square_scenes(24, 1)
    found = next(segment_all(network, spec, scenes, Place(torch.device("cpu"))))
    assert found.numbers.shape == (64, 64) and found.numbers.max() < len(found.labels)
    nothing = next(
        segment_all(network, spec, scenes, Place(torch.device("cpu")), shown=Shown(score=1.1))
    )
    assert len(nothing.labels) == 0 and (nothing.numbers == -1).all()


def test_batches_follow_from_their_step_and_show_what_they_say() -> None:
    task = SegmentationTask(tiny_recipe(), square_scenes(16, 0), square_scenes(4, 1))
    batch, again = task.data.batch(5, Share()), task.data.batch(5, Share())
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert batch["image"].shape == (4, 64, 64, 3) and batch["image"].dtype == torch.uint8
    assert batch["numbers"].shape == (4, 64, 64)
    red = batch["image"].float()
    for image, labels in enumerate(batch["labels"]):
        for place, label in enumerate(labels.tolist()):
            mask = batch["numbers"][image] == place
            assert bool(mask.any()) == (label >= 0)
            if label == 2 and mask.sum() > 50:
                colour = red[image][mask].median(0).values
                assert colour[0] > 1.5 * colour[1:].max()


def test_a_detectors_backbone_is_a_start(tmp_path: Path) -> None:
    torch.manual_seed(1)
    other = Segmenter(tiny_spec())
    body = {k: v for k, v in other.state_dict().items() if k.startswith("backbone.")}
    write_checkpoint(tmp_path / "detector", {**body, "head.weight": torch.zeros(3)}, {})
    network = Segmenter(tiny_spec())
    start_from(network, str(tmp_path / "detector"))
    for name, tensor in network.backbone.state_dict().items():
        assert torch.equal(tensor, body[f"backbone.{name}"])
    write_checkpoint(tmp_path / "other", {"head.weight": torch.zeros(3)}, {})
    with pytest.raises(CheckpointError, match=r"0 of \d+ tensors fit"):
        start_from(network, str(tmp_path / "other"))


def test_a_map_comes_back_to_an_image_of_another_shape() -> None:
    cells = torch.arange(16).view(4, 4)
    window = torch.tensor([0.0, -4.0, 16.0, 12.0])  # an image of 16 x 8, letterboxed
    pixels = to_image(cells, window, (8, 16))
    assert pixels.shape == (8, 16)
    assert pixels[0].tolist() == [4] * 4 + [5] * 4 + [6] * 4 + [7] * 4
    assert pixels[:, 0].tolist() == [4] * 4 + [8] * 4


def test_an_evaluation_says_and_shows_how_good_it_is(tmp_path: Path) -> None:
    recipe = tiny_recipe(network=plain_network(queries=6), steps=1)
    task = SegmentationTask(recipe, square_scenes(8, 0), square_scenes(4, 1))
    Trainer(task, recipe.training, tmp_path, document={}).run()
    files = write_panoptic(tmp_path / "data", square_scenes(5, 2))
    report = evaluate_segmenter(
        tmp_path / "last", panoptic=files, shown=Shown(0.1, 0.1), out=tmp_path / "e"
    )
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text())["PQ"] == report["PQ"]
    assert set(report["per_label"]) == set(NAMES) and report["samples"] == 5
    for name in ("typical", "worst"):
        sheet = np.asarray(Image.open(tmp_path / "e" / f"{name}.png"))
        assert sheet.shape[1] == 786 and sheet.std() > 20
