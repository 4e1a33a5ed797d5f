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

SAFETY = 1.25
"""Admit a job if it would meet its deadline even on a device this much slower than measured."""


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

    def wait_s(self, stages: Sequence[Stage], priority: Priority) -> float:
        """When the last of `stages` would be done: seconds from now, predicted."""
        return forecast.wait_s(
            stages,
            priority,
            lanes=self._lanes,
            under_way_s=self._under_way.left_s(self._clock()),
            workers=self._workers,
        )

    def check(self, stages: Sequence[Stage], deadline: float, priority: Priority) -> None:
        """BusyError or PayloadTooLargeError unless there is room and time for all of them."""
        left_s = deadline - self._clock()
        for stage in stages:
            self._check_room(stage, priority)
        if math.isfinite(left_s):
            self._check_time(stages, left_s, priority)

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

    def _check_time(self, stages: Sequence[Stage], left_s: float, priority: Priority) -> None:
        """What is predicted, and some more, must not take longer than the deadline leaves."""
        predicted_s = self.wait_s(stages, priority) * SAFETY
        if predicted_s > left_s:
            raise BusyError(
                f"the answer would take about {predicted_s * 1e3:.0f} ms, "
                f"later than the {max(left_s, 0.0) * 1e3:.0f} ms that the deadline leaves",
                retry_after_s=max(predicted_s - left_s, 0.0),
            )
