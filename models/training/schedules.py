"""Learning-rate schedules as pure functions of how far the run is."""

import math
from dataclasses import dataclass
from typing import Literal

ScheduleName = Literal["constant", "cosine", "linear", "step", "one-cycle"]


@dataclass(frozen=True)
class ScheduleSpec:
    """The factor on the learning rate over a run.

    `warmup` is the fraction of the run in which the factor climbs: in a straight line from nearly
    zero, or for `one-cycle` along a half cosine from 1/25. After it `cosine`, `linear` and
    `one-cycle` fall to `floor`; `step` multiplies by `gamma` at each of `milestones`, which are
    fractions of the run.
    """

    name: ScheduleName = "cosine"
    warmup: float = 0.05
    floor: float = 0.0
    milestones: tuple[float, ...] = (0.5, 0.75)
    gamma: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.warmup < 1 or not 0 <= self.floor <= 1:
            raise ValueError(f"need 0 <= warmup < 1 and 0 <= floor <= 1, got {self}")
        if list(self.milestones) != sorted(self.milestones):
            raise ValueError(f"milestones must rise, got {self.milestones}")


ONE_CYCLE_START = 1 / 25


def schedule_factor(spec: ScheduleSpec, progress: float) -> float:
    """The factor at `progress` in [0, 1]."""
    progress = min(max(progress, 0.0), 1.0)
    if progress < spec.warmup:
        climbed = progress / spec.warmup
        if spec.name == "one-cycle":
            return _half_cosine(ONE_CYCLE_START, 1.0, climbed)
        return max(climbed, 1e-3)
    fallen = (progress - spec.warmup) / (1 - spec.warmup)
    match spec.name:
        case "constant":
            return 1.0
        case "cosine" | "one-cycle":
            return _half_cosine(1.0, spec.floor, fallen)
        case "linear":
            return 1 + (spec.floor - 1) * fallen
        case "step":
            return spec.gamma ** sum(progress >= milestone for milestone in spec.milestones)


def _half_cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * fraction)) / 2
