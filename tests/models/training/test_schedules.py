"""Schedules against those of torch.optim, which walk step by step."""

import pytest
import torch
from torch.optim import lr_scheduler

from models.training.schedules import ScheduleSpec, schedule_factor

STEPS = 40


def torch_factors(make: object) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(STEPS):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


@pytest.mark.parametrize(
    ("spec", "make"),
    [
        (
            ScheduleSpec("cosine", warmup=0.0, floor=0.1),
            lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.1),
        ),
        (
            ScheduleSpec("linear", warmup=0.0),
            lambda o: lr_scheduler.LinearLR(o, 1.0, 0.0, STEPS),
        ),
        (
            ScheduleSpec("step", warmup=0.0, milestones=(0.25, 0.5), gamma=0.3),
            lambda o: lr_scheduler.MultiStepLR(o, [STEPS // 4, STEPS // 2], 0.3),
        ),
        (
            ScheduleSpec("constant", warmup=0.0),
            lambda o: lr_scheduler.ConstantLR(o, 1.0),
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_factors_are_those_of_torch(spec: ScheduleSpec, make: object) -> None:
    ours = [schedule_factor(spec, step / STEPS) for step in range(STEPS)]
    assert ours == pytest.approx(torch_factors(make), abs=1e-9)


def test_one_cycle_is_that_of_torch() -> None:
    # torch's cycle ends on its last step, one before ours, and its peak lies at pct * total - 1.
    cycle = torch_factors(
        lambda o: lr_scheduler.OneCycleLR(
            o, 1.0, total_steps=STEPS + 1, pct_start=11 / (STEPS + 1), final_div_factor=1e9
        )
    )
    spec = ScheduleSpec("one-cycle", warmup=10 / STEPS)
    ours = [schedule_factor(spec, step / STEPS) for step in range(STEPS)]
    assert ours == pytest.approx(cycle, abs=1e-6)


@pytest.mark.parametrize("name", ["constant", "cosine", "linear", "step"])
def test_warmup_climbs_in_a_straight_line(name: str) -> None:
    spec = ScheduleSpec(name, warmup=0.5, milestones=(0.9,))
    assert [schedule_factor(spec, p) for p in (0.125, 0.25, 0.5)] == [0.25, 0.5, 1.0]
    assert 0 < schedule_factor(spec, 0.0) < 0.01


@pytest.mark.parametrize("name", ["cosine", "linear", "one-cycle"])
def test_the_end_is_the_floor(name: str) -> None:
    spec = ScheduleSpec(name, floor=0.02)
    assert schedule_factor(spec, 1.0) == schedule_factor(spec, 1.5) == pytest.approx(0.02)


@pytest.mark.parametrize("changes", [{"warmup": 1.0}, {"floor": 2.0}, {"milestones": (0.5, 0.2)}])
def test_impossible_figures_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="got"):
        ScheduleSpec(**changes)
