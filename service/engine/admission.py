"""Whether a request may queue: there must be room for all that it asks for, and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from service.engine import forecast
from service.engine.batch import UnderWay
from service.engine.forecast import Stage
from service.engine.job import Priority
from service.engine.lane import Lane
from service.errors import BusyError, PayloadTooLargeError, QueueFullError

PREDICT_EVERY = 8
"""Of so many jobs that have plenty of time one is predicted all the same, to learn the pace."""

SAFETY = 1.25
"""Admit a job if it would meet its deadline even if all took this much longer than it does."""


class Admission:
    """What a device can promise, by its queues, its costs and what it has in hand. Under its lock.

    `lanes` and `under_way` are the scheduler's own, which go on changing.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        under_way: UnderWay,
        *,
        workers: int,
        clock: Callable[[], float],
    ) -> None:
        self._lanes = lanes
        self._under_way = under_way
        self._workers = workers
        self._clock = clock
        self._spared = 0

    def wait_s(self, stages: Sequence[Stage], priority: Priority) -> float:
        """When the last of `stages` would be done at the pace of late: seconds from now."""
        return self._by_cost_s(stages, priority) * _pace(stages)

    def check(self, stages: Sequence[Stage], deadline: float, priority: Priority) -> float:
        """BusyError or PayloadTooLargeError unless there is room and time for all of them.

        Returns the seconds that they would take by their costs; 0 where nothing was predicted.
        """
        left_s = deadline - self._clock()
        for stage in stages:
            self._check_room(stage, priority)
        if not math.isfinite(left_s):
            return 0.0
        pace = _pace(stages)
        self._spared = (self._spared + 1) % PREDICT_EVERY
        if self._spared and self._at_most_s(stages) * pace * SAFETY <= left_s:
            return 0.0
        by_cost_s = self._by_cost_s(stages, priority)
        _check_time(by_cost_s * pace * SAFETY, left_s)
        return by_cost_s

    def _at_most_s(self, stages: Sequence[Stage]) -> float:
        """What one worker would take for everything, sample by sample: where there is time even
        for that, as there mostly is, no more need be known."""
        seconds = 0.0
        for lane in self._lanes:
            if lane.queued or lane.running:
                seconds += lane.steps_pending * lane.cost.seconds(1)
        for stage in stages:
            seconds += stage.jobs * stage.alone_s
        return seconds

    def _by_cost_s(self, stages: Sequence[Stage], priority: Priority) -> float:
        return forecast.wait_s(
            stages,
            priority,
            lanes=self._lanes,
            under_way_s=self._under_way.left_s(self._clock()),
            workers=self._workers,
        )

    def _check_room(self, stage: Stage, priority: Priority) -> None:
        lane, jobs = stage.lane, stage.jobs
        if jobs > lane.capacity:
            raise PayloadTooLargeError(
                f"{jobs} samples in one request, where the queue holds {lane.capacity}"
            )
        if lane.pending + jobs > lane.capacity:
            raise QueueFullError(
                f"{lane.pending} samples wait already, of {lane.capacity} at most",
                retry_after_s=self.wait_s([Stage(lane, 0)], priority),
            )


def _check_time(predicted_s: float, left_s: float) -> None:
    if predicted_s > left_s:
        raise BusyError(
            f"the answer would take about {predicted_s * 1e3:.0f} ms, "
            f"later than the {max(left_s, 0.0) * 1e3:.0f} ms that the deadline leaves",
            retry_after_s=max(predicted_s - left_s, 0.0),
        )


def _pace(stages: Sequence[Stage]) -> float:
    return max([stage.lane.pace.factor for stage in stages])
