"""Whose turn it is: the most urgent lane's jobs, as many of them as pay together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from service.engine.batch import Batch, UnderWay
from service.engine.job import Job
from service.engine.lane import Lane
from service.engine.standing import Standing
from service.errors import PanoptesError

Dropped = tuple[Lane, Job, PanoptesError]
"""A running job that is not worth running, and why; it is to be settled."""


class Picking:
    """Forms a device's next batch when a worker asks for it. Under its lock.

    `lanes`, `under_way` and `standing` are the scheduler's own, which go on changing.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        under_way: UnderWay,
        standing: Standing,
        *,
        workers: int,
        clock: Callable[[], float],
    ) -> None:
        self._lanes = lanes
        self._under_way = under_way
        self._standing = standing
        self._workers = workers
        self._clock = clock

    def next(self) -> tuple[Batch | None, list[Dropped]]:
        """The batch to run now, if any, which is under way from here on; and what was met on the
        way to it."""
        dropped: list[Dropped] = []
        while self._standing.healthy:
            busy = self._under_way.full
            waiting = [
                (urgency, index)
                for index, lane in enumerate(self._lanes)
                if lane.queued
                and (urgency := lane.urgency()) is not None
                and (not busy or lane.needs_preparing())
            ]
            if not waiting:
                break
            lane = self._lanes[min(waiting)[1]]
            if jobs := self._gather(lane, dropped):
                batch = Batch(lane, jobs, alone=self._may_have_all(jobs))
                self._under_way.add(batch, self._clock() + lane.cost.seconds(len(jobs)))
                return batch, dropped
        return None, dropped

    def _may_have_all(self, jobs: Sequence[Job]) -> bool:
        """Whether nothing else runs or waits, and one of the jobs is of that worth."""
        if self._under_way or any(lane.queued for lane in self._lanes):
            return False
        return not all(job.probe for job in jobs)

    def _gather(self, lane: Lane, dropped: list[Dropped]) -> list[Job]:
        now = self._clock()
        # What other idle workers could take at the same moment is left to them.
        idle = self._workers - len(self._under_way)
        share = math.ceil(lane.queued / max(idle, 1))
        size = lane.cost.batch_to_run(min(share, lane.batch_cap))
        jobs: list[Job] = []
        while len(jobs) < size and (job := lane.head()) is not None:
            # One under which a device died runs alone: if it is what kills, it kills alone.
            if jobs and (job.lost_devices or jobs[0].lost_devices):
                break
            lane.pop(now)
            if reason := self._standing.why_drop(lane, job, now):
                dropped.append((lane, job, reason))
            else:
                jobs.append(job)
        return jobs
