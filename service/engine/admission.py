"""Whether a request may queue: there must be room for all that it asks for, and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from service.engine.forecast import Stage
from service.errors import BusyError, PayloadTooLargeError, QueueFullError

SAFETY = 1.25
"""Admit a job if it would meet its deadline even on a device this much slower than measured."""


def check_room(stages: Sequence[Stage], wait_s: Callable[[Stage], float]) -> None:
    """BusyError or PayloadTooLargeError unless each lane has room for its stage.

    `wait_s` predicts when what is there already would be done, and one stage more.
    """
    for stage in stages:
        lane, jobs = stage.lane, stage.jobs
        if jobs > lane.capacity:
            raise PayloadTooLargeError(
                f"{jobs} samples in one request, where the queue holds {lane.capacity}"
            )
        if lane.pending + jobs > lane.capacity:
            raise QueueFullError(
                f"{lane.pending} samples wait already, of {lane.capacity} at most",
                retry_after_s=wait_s(Stage(lane, 0)),
            )


def check_time(left_s: float, wait_s: Callable[[], float]) -> None:
    """BusyError if what is predicted, and some more, takes longer than the deadline leaves."""
    if not math.isfinite(left_s):
        return
    predicted_s = wait_s() * SAFETY
    if predicted_s > left_s:
        raise BusyError(
            f"the answer would take about {predicted_s * 1e3:.0f} ms, "
            f"later than the {max(left_s, 0.0) * 1e3:.0f} ms that the deadline leaves",
            retry_after_s=max(predicted_s - left_s, 0.0),
        )
