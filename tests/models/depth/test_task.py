from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.depth import load_depth
from models.depth.measures import depth_figures
from models.depth.task import DepthTask, with_camera_of
from models.training.checkpoint import CheckpointError
from models.training.recipe import TrainingSpec
from models.training.task import Place, Share
from models.training.trainer import Trainer
from tests.models.depth.floors import (
    BASELINE_M,
    FOCAL_PX,
    floor_pairs,
    floor_recipe,
    tiny_spec,
)

ONE_STEP = TrainingSpec(batch_size=4, steps=1, ema_decay=0.0)


def test_a_tiny_network_learns_depth_without_seeing_any(tmp_path: Path) -> None:
    recipe = floor_recipe()
    validation = floor_pairs(16, 1)
    task = DepthTask(recipe, floor_pairs(64, 0, depth=False), validation)
    task.network.train()
    before = task.loss(task.network, task.data.batch(0, Share()))
    Trainer(task, recipe.training, tmp_path, document={}).run()
    network, spec, metadata = load_depth(tmp_path / "best")
    after = task.loss(network.train(), task.data.batch(0, Share()))
    assert after["loss"] < 0.6 * before["loss"]
    assert metadata["metrics"]["abs_rel"] < 0.7 * best_constant_error(validation)
    assert spec.focal_px == FOCAL_PX and spec.baseline_m == BASELINE_M


def best_constant_error(pairs: object) -> float:
    """The least relative error that any one disparity for all pixels of all images can have."""
    truths = [pairs.depth(i) for i in range(len(pairs))]  # type: ignore[attr-defined, arg-type]
    errors = []
    for d_px in torch.linspace(2, 10, 60).tolist():
        flat = FOCAL_PX * BASELINE_M / d_px
        each = [depth_figures(torch.full_like(t, flat), t)[0] for t in truths]
        errors.append(float(torch.stack(each).mean()))
    return min(errors)


def test_without_depth_the_views_that_can_be_rebuilt_are_the_goal(tmp_path: Path) -> None:
    recipe = floor_recipe(training=ONE_STEP)
    task = DepthTask(recipe, floor_pairs(8, 0), floor_pairs(4, 1, depth=False))
    assert task.goal.metric == "appearance"
    figures = task.evaluate(task.network.eval(), Place(torch.device("cpu")))
    assert 0 < figures["appearance"] < 1
    assert Trainer(task, ONE_STEP, tmp_path, document={}).run().best is not None


def test_without_a_camera_depth_is_measured_up_to_a_factor() -> None:
    recipe = floor_recipe(training=ONE_STEP)
    task = DepthTask(recipe, floor_pairs(8, 0, cameras=False), floor_pairs(4, 1, cameras=False))
    assert task.goal.metric == "scaled_abs_rel"
    figures = task.evaluate(task.network.eval(), Place(torch.device("cpu")))
    assert "abs_rel" not in figures and "scaled_d1" in figures
    assert task.network.spec.metres is None


def test_a_share_of_the_processes_measures_the_same() -> None:
    task = DepthTask(floor_recipe(), floor_pairs(8, 0), floor_pairs(5, 1))
    network = task.network.eval()
    whole = task.evaluate(network, Place(torch.device("cpu")))
    sums: list[list[torch.Tensor]] = []
    for index in range(2):
        seen: list[torch.Tensor] = []

        def keep(tensor: torch.Tensor, seen: list[torch.Tensor] = seen) -> torch.Tensor:
            seen.append(tensor)
            return tensor

        task.evaluate(network, Place(torch.device("cpu"), Share(index, 2), keep))
        sums.append(seen)
    total = [first + second for first, second in zip(*sums, strict=True)]
    assert float(total[0][0] / total[1]) == pytest.approx(whole["abs_rel"])


def test_training_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    recipe = floor_recipe(training=ONE_STEP)
    first = DepthTask(recipe, floor_pairs(8, 0), floor_pairs(4, 1))
    Trainer(first, ONE_STEP, tmp_path, document={}).run()
    second = DepthTask(
        replace(recipe, start_from=str(tmp_path / "last")), floor_pairs(8, 0), floor_pairs(4, 1)
    )
    for name, tensor in first.network.state_dict().items():
        assert torch.equal(tensor, second.network.state_dict()[name])
    other = replace(recipe, network=tiny_spec(), start_from=str(tmp_path / "last"))
    with pytest.raises(CheckpointError, match="is of another make"):
        DepthTask(other, floor_pairs(8, 0), floor_pairs(4, 1))


def test_a_spec_keeps_the_camera_that_it_says() -> None:
    spec = tiny_spec(focal_px=70.0, baseline_m=0.1)
    assert with_camera_of(spec, floor_pairs(2, 0)) == spec
    assert with_camera_of(tiny_spec(), floor_pairs(2, 0)).metres == pytest.approx(0.25)


def test_a_network_of_one_view_is_not_trained_from_stereo() -> None:
    with pytest.raises(ValueError, match="needs a network of 2 views"):
        floor_recipe(network=tiny_spec(views=1))
