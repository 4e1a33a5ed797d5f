from pathlib import Path

import pytest
import torch
from torch.export import Dim

from models.detection import (
    Candidates,
    build_detector,
    load_detector,
    postprocess,
    save_detector,
)
from models.detection.task import DetectionTask
from models.training.checkpoint import CheckpointError, write_checkpoint
from models.training.plain import RecipeError
from models.training.trainer import Trainer
from tests.models.detection.rectangles import (
    NAMES,
    SIZE,
    plain_recipe,
    rectangle_recipe,
    rectangle_scenes,
)

FAMILIES = ["centernet", "retinanet"]


def train(folder: Path, family: str, **changes: object) -> DetectionTask:
    recipe = rectangle_recipe(family, **changes)
    task = DetectionTask(recipe, rectangle_scenes(256, 0), rectangle_scenes(32, 1))
    Trainer(task, recipe.training, folder, document={}).run()
    return task


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tiny_network_learns(family: str, tmp_path: Path) -> None:
    train(tmp_path, family)
    detector, spec, metadata = load_detector(tmp_path / "best")
    assert metadata["metrics"]["AP50"] > 0.6
    assert spec.labels == NAMES and spec.family == family and not detector.training
    images = torch.full((1, *SIZE, 3), 90, dtype=torch.uint8)
    images[0, 20:36, 24:40] = torch.tensor([0, 255, 0], dtype=torch.uint8)
    (found,) = postprocess(detector(images), spec)
    assert NAMES[int(found.labels[0])] == "green"
    assert (found.boxes_xyxy[0] - torch.tensor([24.0, 20, 40, 36])).abs().max() < 4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_checkpoint_answers_as_what_was_saved(family: str, tmp_path: Path) -> None:
    spec = rectangle_recipe(family).spec(NAMES)
    detector = build_detector(spec).eval()
    save_detector(tmp_path / "x", spec, detector.state_dict(), {"step": 3})
    loaded, loaded_spec, metadata = load_detector(tmp_path / "x")
    assert loaded_spec == spec and metadata == {"step": 3}
    images = torch.randint(0, 256, (2, *SIZE, 3), dtype=torch.uint8)
    for ours, theirs in zip(loaded(images), detector(images), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_batch_is_free_in_an_exported_graph(family: str) -> None:
    detector = build_detector(rectangle_recipe(family).spec(NAMES)).eval()
    images = torch.randint(0, 256, (3, *SIZE, 3), dtype=torch.uint8)
    program = torch.export.export(detector, (images[:2],), dynamic_shapes=({0: Dim.DYNAMIC},))
    exported = program.module()(images)
    assert isinstance(exported, Candidates)
    for ours, theirs in zip(exported, detector(images), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_training_starts_from_the_weights_that_fit(tmp_path: Path) -> None:
    spec = rectangle_recipe().spec(("one", "two"))
    other = build_detector(spec)
    save_detector(tmp_path / "other", spec, other.state_dict(), {})
    recipe = rectangle_recipe(start_from=str(tmp_path / "other"))
    task = DetectionTask(recipe, rectangle_scenes(4, 0), rectangle_scenes(4, 1))
    taken, given = task.network.state_dict(), other.state_dict()
    differing = {name for name in taken if not torch.equal(taken[name], given[name])}
    assert differing == {"heatmap_head.2.weight", "heatmap_head.2.bias"}


def test_training_does_not_start_from_another_family(tmp_path: Path) -> None:
    spec = rectangle_recipe("retinanet", loss={}).spec(NAMES)
    save_detector(tmp_path / "other", spec, {"x": torch.zeros(1)}, {})
    recipe = rectangle_recipe(start_from=str(tmp_path / "other"))
    with pytest.raises(CheckpointError, match="is of another make: 0 of"):
        DetectionTask(recipe, rectangle_scenes(4, 0), rectangle_scenes(4, 1))


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a", {}, {"kind": "classifier"})
    with pytest.raises(CheckpointError, match="holds a 'classifier', not a detector"):
        load_detector(tmp_path / "a")
    write_checkpoint(tmp_path / "b", {}, {"kind": "detector", "family": "yolo"})
    with pytest.raises(CheckpointError, match="no detector family is named 'yolo'"):
        load_detector(tmp_path / "b")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "yolo"}, "no detector family is named 'yolo'; there are"),
        ({"network": {**plain_recipe()["network"], "chanels": 3}}, "did you mean 'channels'"),
        ({"loss": {"gioux": 1}}, "did you mean 'giou'"),
        ({"data": {}}, "exactly one of `world` and `coco`"),
    ],
)
def test_a_wrong_recipe_is_explained(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        rectangle_recipe(**changes)


def test_an_unknown_backbone_names_those_near_it() -> None:
    plain = plain_recipe()
    plain["network"]["backbone"] = {"name": "resnet19"}
    recipe = rectangle_recipe(network=plain["network"])
    with pytest.raises(ValueError, match=r"no backbone is named 'resnet19'.*resnet18"):
        build_detector(recipe.spec(NAMES))
