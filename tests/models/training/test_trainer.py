import os
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.training.budget import Budget
from models.training.checkpoint import CheckpointError, read_checkpoint
from models.training.optimizers import OptimizerSpec
from models.training.plain import RecipeError
from models.training.recipe import TrainingSpec
from models.training.schedules import ScheduleSpec
from models.training.trainer import Trainer, TrainingDiverged
from tests.models.training.regression import RegressionTask

ADAM = OptimizerSpec("adam", lr=2e-2)


def spec_of(**changes: object) -> TrainingSpec:
    settings = {"batch_size": 16, "steps": 30, "optimizer": ADAM, "ema_decay": 0.9}
    return TrainingSpec(**{**settings, **changes})


def weights_of(task: RegressionTask) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in task.network.state_dict().items()}


def test_loss_falls_and_the_error_is_measured(tmp_path: Path) -> None:
    task = RegressionTask()
    summary = Trainer(task, spec_of(steps=150), tmp_path, document={}).run()
    assert summary.finished and summary.step == 150
    assert task.losses[-1] < 0.05 * task.losses[0]
    assert summary.metrics["error"] < 1.0


@pytest.mark.parametrize("stop_at", [1, 17, 28])
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, stop_at: int
) -> None:
    def stop(losses: int) -> None:
        if losses == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    spec = spec_of(clip_norm=1.0, validate_every=7)
    whole = RegressionTask(dropout=0.3)
    whole_summary = Trainer(whole, spec, tmp_path / "whole", document={}).run()

    first = RegressionTask(dropout=0.3, before_loss=stop)
    summary = Trainer(first, spec, tmp_path / "halves", document={}).run()
    assert not summary.finished and summary.step == stop_at + 1

    second = RegressionTask(dropout=0.3)
    resumed = Trainer(second, spec, tmp_path / "halves", document={}).run(resume=True)
    assert resumed.finished and resumed.metrics == whole_summary.metrics
    assert first.losses + second.losses == whole.losses
    for folder in ("last", "best"):
        expected, _ = read_checkpoint(tmp_path / "whole" / folder)
        found, _ = read_checkpoint(tmp_path / "halves" / folder)
        for name, tensor in expected.items():
            assert torch.equal(found[name], tensor), name


def test_resuming_another_recipe_is_refused(tmp_path: Path) -> None:
    Trainer(RegressionTask(), spec_of(), tmp_path, document={"recipe": {"lr": 1}}).run()
    other = Trainer(RegressionTask(), spec_of(), tmp_path, document={"recipe": {"lr": 2}})
    with pytest.raises(RecipeError, match="another recipe"):
        other.run(resume=True)


def test_resuming_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing to resume"):
        Trainer(RegressionTask(), spec_of(), tmp_path, document={}).run(resume=True)


def test_accumulated_passes_equal_one_batch(tmp_path: Path) -> None:
    whole, parts = RegressionTask(), RegressionTask()
    Trainer(whole, spec_of(), tmp_path / "whole", document={}).run()
    Trainer(parts, spec_of(accumulate=4), tmp_path / "parts", document={}).run()
    for name, tensor in weights_of(whole).items():
        torch.testing.assert_close(parts.network.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


def test_worker_processes_give_the_same_batches(tmp_path: Path) -> None:
    here, there = RegressionTask(), RegressionTask()
    Trainer(here, spec_of(steps=6), tmp_path / "here", document={}).run()
    Trainer(there, spec_of(steps=6, workers=1), tmp_path / "there", document={}).run()
    assert here.losses == there.losses


def test_the_checkpoint_holds_the_average_and_the_document(tmp_path: Path) -> None:
    task = RegressionTask()
    Trainer(task, spec_of(), tmp_path, document={"provenance": {"seed": 3}}).run()
    weights, document = read_checkpoint(tmp_path / "last")
    assert document["kind"] == "regression" and document["provenance"] == {"seed": 3}
    assert document["step"] == 30 and "error" in document["metrics"]
    assert not torch.equal(weights["0.weight"], task.network.state_dict()["0.weight"])


def test_without_an_average_the_network_itself_is_kept(tmp_path: Path) -> None:
    task = RegressionTask()
    Trainer(task, spec_of(ema_decay=0.0), tmp_path, document={}).run()
    weights, _ = read_checkpoint(tmp_path / "last")
    for name, tensor in weights_of(task).items():
        assert torch.equal(weights[name], tensor)


def test_best_is_the_checkpoint_with_the_best_measure(tmp_path: Path) -> None:
    task = RegressionTask()
    steep = OptimizerSpec("sgd", lr=0.02, momentum=0.0)
    constant = ScheduleSpec("constant", warmup=0.0)
    spec = spec_of(optimizer=steep, schedule=constant, validate_every=5, ema_decay=0.0)
    errors: list[float] = []
    evaluate = task.evaluate

    def worse_after_the_third(network: torch.nn.Module, place: object) -> dict[str, float]:
        figures = evaluate(network, place)
        errors.append(figures["error"] + (100 if len(errors) >= 3 else 0))
        return {"error": errors[-1]}

    task.evaluate = worse_after_the_third
    summary = Trainer(task, spec, tmp_path, document={}).run()
    _, best = read_checkpoint(tmp_path / "best")
    _, last = read_checkpoint(tmp_path / "last")
    assert best["metrics"]["error"] == min(errors) == summary.best
    assert best["step"] <= 15 and last["step"] == 30


def test_half_precision_learns_too(tmp_path: Path) -> None:
    task = RegressionTask()
    spec = spec_of(steps=150, precision="bf16")
    Trainer(task, spec, tmp_path, document={}).run()
    assert task.losses[-1] < 0.05 * task.losses[0]
    assert task.network.state_dict()["0.weight"].dtype == torch.float32


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path) -> None:
    wild = OptimizerSpec("sgd", lr=1e18, momentum=0.0)
    spec = spec_of(optimizer=wild, log_every=5, schedule=ScheduleSpec("constant", warmup=0.0))
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        Trainer(RegressionTask(), spec, tmp_path, document={}).run()


def test_a_batch_that_does_not_divide_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="does not divide"):
        Trainer(RegressionTask(), spec_of(accumulate=3), tmp_path, document={})


def test_minutes_end_the_run_and_anneal_it(tmp_path: Path) -> None:
    clock_s = 0.0

    def tick(losses: int) -> None:
        nonlocal clock_s
        clock_s += 6.0

    task = RegressionTask(before_loss=tick)
    budget = Budget(1000, minutes=1.0, clock=lambda: clock_s)
    trainer = Trainer(task, spec_of(steps=1000), tmp_path, document={}, budget=budget)
    summary = trainer.run()
    assert summary.finished and summary.step == 10
    rates = [group["lr"] for group in trainer._optimizer.param_groups]
    assert max(rates) < 0.1 * ADAM.lr
