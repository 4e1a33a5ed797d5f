"""When jobs would be done: from the queues and the cost curves, before they are admitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from service.engine.job import Priority
from service.engine.lane import Lane


class Stage(NamedTuple):
    """Jobs of one lane, as far as they are known before they exist."""

    lane: Lane
    jobs: int
    steps: int = 1

    @property
    def alone_s(self) -> float:
        """What one of the jobs takes where nothing is in its way."""
        return self.steps * self.lane.cost.seconds(1)


def wait_s(
    stages: Sequence[Stage],
    priority: Priority,
    *,
    lanes: Sequence[Lane],
    under_way_s: Sequence[float],
    workers: int,
) -> float:
    """When the last of `stages`, one after the other, would be done: seconds from now.

    All that their lanes have goes first. A job ages anew at each step: so at each step of these,
    every job of the other lanes does one, if it is not the more patient. A batch that is under way
    cannot be joined: it counts as what is left of it. Under the device's lock.
    """
    all_s, alone_s, steps = sum(under_way_s), 0.0, 0
    for stage in stages:
        all_s += _with_what_waits_s(stage)
        alone_s += stage.alone_s
        steps += stage.steps
    own = [stage.lane for stage in stages]
    for lane in lanes:
        if lane.pending and lane not in own:
            all_s += lane.work_beside_s(steps, priority)
    first_free_s = min(under_way_s) if len(under_way_s) >= workers else 0.0
    return max(all_s / workers, first_free_s + alone_s)


def _with_what_waits_s(stage: Stage) -> float:
    lane = stage.lane
    steps = lane.steps_pending - lane.running + stage.jobs * stage.steps
    return lane.work_s(steps, max(lane.pending + stage.jobs, 1))
