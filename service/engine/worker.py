"""One worker of a device: takes a batch, prepares it, runs it, settles every job of it."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from service.engine.backends.backend import DeviceLostError, OutOfMemoryError, TimedOutputs
from service.engine.batch import Batch
from service.engine.job import Job, Sample, State
from service.engine.lane import Lane
from service.engine.observer import Observer
from service.engine.scheduler import Clock, Scheduler
from service.errors import ModelRunError, PanoptesError

log = logging.getLogger(__name__)

WORKER_NICE = 5
REBUILD_WAIT_S = (0.1, 0.5, 2.0, 5.0)
"""Pauses between attempts to rebuild a lost device; the last one repeats."""

T = TypeVar("T")
R = TypeVar("R")
Outputs = Mapping[str, npt.NDArray[np.generic]]


class Worker:
    """Runs batches until its scheduler stops. Whatever goes wrong, every job is settled."""

    def __init__(
        self,
        device: str,
        scheduler: Scheduler,
        observer: Observer,
        *,
        clock: Clock,
        hosts: Executor | None = None,
        rebuild_wait_s: Sequence[float] = REBUILD_WAIT_S,
    ) -> None:
        self._device = device
        self._scheduler = scheduler
        self._observer = observer
        self._clock = clock
        self._hosts = hosts
        self._rebuild_wait_s = rebuild_wait_s
        self._stopping = threading.Event()
        self._mine: set[Job] = set()
        """Jobs of the batch at hand that were not handed back to the scheduler."""
        self._must_rebuild = False

    def loop(self) -> None:
        _give_way()
        while (batch := self._scheduler.take()) is not None:
            self.work(batch)

    def stop(self) -> None:
        """Give up a rebuild that is under way."""
        self._stopping.set()

    def work(self, batch: Batch) -> None:
        """Deal with one batch; a defect of ours fails its jobs, not the worker."""
        self._mine = set(batch.jobs)
        try:
            prepared = self._on_hosts(lambda job: self._prepare(batch.lane, job), batch.jobs)
            ready = [job for job, is_ready in zip(batch.jobs, prepared, strict=True) if is_ready]
            if ready:
                self._run(batch, ready, alone=batch.alone)
        except Exception:
            log.exception("a batch of %s went wrong inside the engine", batch.lane.name)
            for job in self._mine:
                if job.state is State.RUNNING:
                    error = ModelRunError("the engine failed on this job")
                    self._scheduler.settle(batch.lane, job, error)
        finally:
            self._mine = set()
            self._scheduler.worker_free(batch)
        if self._must_rebuild:  # with no job in hand, so that each can be given up meanwhile
            self._must_rebuild = False
            self._rebuild()

    def _on_hosts(self, do: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Do it for all: side by side where there are threads for that."""
        if self._hosts is None or len(items) < 2:
            return [do(item) for item in items]
        return list(self._hosts.map(do, items))

    def _prepare(self, lane: Lane, job: Job) -> bool:
        """Give the job its first inputs. False if it could not be, and is settled."""
        if job.inputs is not None:
            return True
        started = self._clock()
        try:
            job.inputs = job.prepare()
        except Exception as error:
            self._scheduler.settle(lane, job, _blame(error, "the input could not be prepared"))
            return False
        job.timing.prepare_s = self._clock() - started
        return True

    def _run(self, batch: Batch, jobs: Sequence[Job], *, alone: bool) -> None:
        lane = batch.lane
        started = self._clock()
        try:
            ran = lane.backend.run(_stack(jobs), alone=alone)
            outputs = _unstack(ran, len(jobs))
        except DeviceLostError as error:
            self._lost(lane, jobs, str(error))
            return
        except Exception as error:
            self._retry(batch, jobs, error)
            return
        seconds = self._clock() - started
        if isinstance(ran, TimedOutputs):  # its wait for a device is no part of what it costs
            self._scheduler.ran(batch, len(jobs), ran.device_s, alone=False)
        else:
            self._scheduler.ran(batch, len(jobs), seconds, alone=alone)
        for job in jobs:
            job.timing.run_s += seconds
            job.timing.largest_batch = max(job.timing.largest_batch, len(jobs))
        self._step(lane, list(zip(jobs, outputs, strict=True)))

    def _step(self, lane: Lane, done: Sequence[tuple[Job, Sample]]) -> None:
        """Take each job on from the outputs of one step: to the next one, or to its answer."""
        kept = [(job, sample) for job, sample in done if self._scheduler.count_step(lane, job)]
        # Split before any is queued: from then on another worker may be at its next step.
        to_finish = [(job, sample) for job, sample in kept if not job.steps_left]
        onward = [
            job for job, sample in kept if job.steps_left and self._advance(lane, job, sample)
        ]
        if onward:
            self._requeue(lane, onward)
        self._on_hosts(lambda each: self._finish(lane, *each), to_finish)

    def _advance(self, lane: Lane, job: Job, outputs: Sample) -> bool:
        """Give the job the inputs of its next step. False if it has none, and is settled."""
        try:
            job.inputs = job.advance(outputs, job.steps - job.steps_left)
        except Exception as error:
            self._scheduler.settle(lane, job, _blame(error, "the next step could not be made"))
            return False
        return True

    def _finish(self, lane: Lane, job: Job, outputs: Sample) -> None:
        started = self._clock()
        try:
            job.result = job.finish(outputs)
        except Exception as error:
            self._scheduler.settle(lane, job, _blame(error, "the answer could not be made"))
            return
        job.timing.finish_s = self._clock() - started
        self._scheduler.settle(lane, job)

    def _retry(self, batch: Batch, jobs: Sequence[Job], error: Exception) -> None:
        """A batch failed: find those that fail alone, and run the others."""
        lane = batch.lane
        if len(jobs) == 1:
            log.warning("%s failed on one sample: %s", lane.name, error)
            self._scheduler.settle(lane, jobs[0], ModelRunError("the model failed on this input"))
            return
        if isinstance(error, OutOfMemoryError):
            size = (len(jobs) + 1) // 2
            self._scheduler.shrink(lane, size)
            log.warning("%s: out of memory at %d samples, now %d", lane.name, len(jobs), size)
        else:
            size = 1
            log.warning("%s: a batch of %d failed, now one by one: %s", lane.name, len(jobs), error)
        left = list(jobs)
        # Whatever happens to a part, the others wait meanwhile: they may be given up by now.
        while left := self._scheduler.wanted(lane, left):
            size = min(size, lane.batch_cap)
            part, left = left[:size], left[size:]
            self._run(batch, part, alone=False)
            if not self._scheduler.healthy:
                self._requeue(lane, left)
                return

    def _requeue(self, lane: Lane, jobs: Sequence[Job]) -> None:
        self._mine.difference_update(jobs)
        self._scheduler.requeue(lane, jobs)

    def _lost(self, lane: Lane, jobs: Sequence[Job], reason: str) -> None:
        self._mine.difference_update(jobs)
        if self._scheduler.lose(lane, jobs, reason):  # otherwise another worker rebuilds it
            self._must_rebuild = True
            log.error("device %s is lost: %s", self._device, reason)
            self._observer.device_lost(self._device, reason)

    def _rebuild(self) -> None:
        attempt = 0
        while not self._stopping.wait(self._rebuild_wait_s[attempt]):
            attempt = min(attempt + 1, len(self._rebuild_wait_s) - 1)
            try:
                for each in self._scheduler.lanes:
                    with self._scheduler.holding(each) as here:
                        if here:  # a backend that was closed must not be opened again
                            each.backend.rebuild()
            except Exception as error:
                log.error("device %s cannot be rebuilt yet: %s", self._device, error)
                continue
            log.warning("device %s is rebuilt", self._device)
            self._observer.device_rebuilt(self._device)
            self._scheduler.recover()
            return


def _stack(jobs: Sequence[Job]) -> Sample:
    """The jobs' inputs as one batch; a single one is only given its batch axis."""
    inputs = [cast(Sample, job.inputs) for job in jobs]
    if len(inputs) == 1:
        return {name: value[None] for name, value in inputs[0].items()}
    return {name: np.stack([sample[name] for sample in inputs]) for name in inputs[0]}


def _unstack(outputs: Outputs, size: int) -> list[Sample]:
    """A batch's outputs sample by sample; no one must be given another's."""
    for name, value in outputs.items():
        if value.shape[:1] != (size,):
            raise ValueError(f"{name} is {value.shape} for {size} samples")
    return [{name: value[index] for name, value in outputs.items()} for index in range(size)]


def _blame(error: Exception, otherwise: str) -> Exception:
    """What the caller may hear of an error in a task's code."""
    if isinstance(error, PanoptesError):
        return error
    log.error(otherwise, exc_info=error)
    return ModelRunError(otherwise)


def _give_way() -> None:
    """Let the event loop run before this thread where both want a core.

    The loop needs little, but needs it now: starved by its own workers, it would read late what it
    must refuse at once.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with contextlib.suppress(OSError):  # a sandbox may forbid it: the worker works all the same
            nice = os.getpriority(os.PRIO_PROCESS, thread)
            os.setpriority(os.PRIO_PROCESS, thread, min(nice + WORKER_NICE, 19))
