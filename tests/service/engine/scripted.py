"""An engine that a test drives step by step: its clock, its backend's faults, what it told."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from service.engine.backends.backend import OutOfMemoryError, Tensors
from service.engine.batch import Batch
from service.engine.cost import CostCurve
from service.engine.job import Job, Sample
from service.engine.lane import Lane
from service.engine.scheduler import Scheduler
from service.engine.worker import Worker


class ManualClock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


class Recorder:
    """An observer that keeps what it is told, and has defects where a test wants them."""

    def __init__(self) -> None:
        self.defects: set[str] = set()
        self.admitted_jobs: collections.Counter[str] = collections.Counter()
        self.refusals: list[tuple[str, int, str]] = []
        self.outcomes: dict[str, list[str]] = collections.defaultdict(list)
        self.batches: list[tuple[str, int]] = []
        self.events: list[str] = []
        self._settlements = threading.Semaphore(0)

    def admitted(self, lane: str, jobs: int) -> None:
        self.admitted_jobs[lane] += jobs

    def refused(self, lane: str, jobs: int, reason: str) -> None:
        self.refusals.append((lane, jobs, reason))

    def settled(self, lane: str, job: Job, outcome: str) -> None:
        self._break("settled")
        self.outcomes[lane].append(outcome)
        self._settlements.release()

    def wait_until_settled(self) -> None:
        """One more job, each time that this is called."""
        assert self._settlements.acquire(timeout=60.0)

    def batch_ran(self, lane: str, size: int, seconds: float) -> None:
        self._break("batch_ran")
        self.batches.append((lane, size))

    def device_lost(self, device: str, reason: str) -> None:
        self.events.append(f"lost: {reason}")

    def device_rebuilt(self, device: str) -> None:
        self.events.append("rebuilt")

    def _break(self, part: str) -> None:
        if part in self.defects:
            raise RuntimeError(f"a defect in {part}")


def next_x(x: int) -> int:
    """One step of the graph that ScriptedBackend runs."""
    return 3 * x + 1


def after(x: int, steps: int) -> int:
    for _ in range(steps):
        x = next_x(x)
    return x


class ScriptedBackend:
    """x -> 3x + 1 on whole numbers, in `seconds(batch)` of a manual clock, failing as told.

    A batch with an x below 0 fails, one of more than `fits` samples is out of memory, and
    `faults` are raised by the runs that come, one each.
    """

    def __init__(
        self, clock: ManualClock | None = None, seconds: Callable[[int], float] = lambda batch: 0.0
    ) -> None:
        self._clock = clock or ManualClock()
        self._seconds = seconds
        self.faults: list[Exception] = []
        self.rebuild_faults: list[Exception] = []
        self.fits = 1 << 30
        self.batches: list[list[int]] = []
        self.rebuilds = 0
        self.closed = False

    def run(self, inputs: Tensors, *, alone: bool = False) -> Mapping[str, npt.NDArray[np.generic]]:
        assert not self.closed, "a closed backend was run"
        x = inputs["x"].astype(np.int64)
        self.batches.append([int(value) for value in x])
        self._clock.advance(self._seconds(len(x)))
        if self.faults:
            raise self.faults.pop(0)
        if len(x) > self.fits:
            raise OutOfMemoryError(f"{len(x)} samples")
        if (x < 0).any():
            raise ValueError("below 0")
        return {"x": 3 * x + 1}

    def rebuild(self) -> None:
        if self.rebuild_faults:
            raise self.rebuild_faults.pop(0)
        self.rebuilds += 1
        self.closed = False

    def close(self) -> None:
        self.closed = True


def counting_job(x: int = 0, **of_the_job: Any) -> Job:
    """A job for ScriptedBackend, whose result is `after(x, steps)`."""

    def prepare() -> Sample:
        return {"x": np.array(x, np.int64)}

    def advance(outputs: Sample, step: int) -> Sample:
        return outputs

    def finish(outputs: Sample) -> int:
        return int(outputs["x"])

    parts = {"prepare": prepare, "advance": advance, "finish": finish} | of_the_job
    return Job(**parts)


def measured(seconds: Callable[[int], float], *batches: int) -> CostCurve:
    """A cost curve as a warm-up would have left it."""
    curve = CostCurve()
    for batch in batches:
        curve.observe_run(batch, seconds(batch))
    return curve


class Rig:
    """A scheduler with workers that only work when told."""

    def __init__(self, *, workers: int = 1) -> None:
        self.clock = ManualClock()
        self.observer = Recorder()
        self.scheduler = Scheduler(workers=workers, clock=self.clock, observer=self.observer)
        self.worker = Worker(
            "rig", self.scheduler, self.observer, clock=self.clock, rebuild_wait_s=(0.0,)
        )

    def lane(
        self,
        name: str = "lane",
        *,
        seconds: Callable[[int], float] = lambda batch: 0.0,
        measure: tuple[int, ...] = (),
        max_batch: int = 8,
        capacity: int = 64,
    ) -> Lane:
        lane = Lane(
            name,
            ScriptedBackend(self.clock, seconds),
            max_batch=max_batch,
            capacity=capacity,
            cost=measured(seconds, *measure),
        )
        self.scheduler.add(lane)
        return lane

    def take(self) -> Batch | None:
        return self.scheduler.take(block=False)

    def work(self) -> Batch | None:
        """Form one batch and deal with it."""
        if (batch := self.take()) is not None:
            self.worker.work(batch)
        return batch

    def work_off(self) -> None:
        while self.work():
            pass


def backend_of(lane: Lane) -> ScriptedBackend:
    assert isinstance(lane.backend, ScriptedBackend)
    return lane.backend


def one_launch(batch: int) -> float:
    """An accelerator: eight samples cost what one does."""
    return 1.0


def one_by_one(batch: int) -> float:
    """A core: every sample costs the same."""
    return 1.0 * batch
