"""Which jobs run next on one device: admission, late batching, and every job settled once."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter

from service.engine.admission import Admission
from service.engine.batch import Batch, UnderWay
from service.engine.forecast import Stage
from service.engine.job import Job, Priority, State
from service.engine.lane import Lane
from service.engine.observer import Observer, outcome_of, refusal_of
from service.engine.picking import Picking
from service.engine.standing import Standing, too_late
from service.errors import (
    BusyError,
    ClientGoneError,
    PanoptesError,
    UnavailableError,
)

log = logging.getLogger(__name__)

Clock = Callable[[], float]

# Every request passes here: without the frames that generators would need.
_STEPS, _DEADLINE, _PRIORITY = map(attrgetter, ("steps", "deadline", "priority"))

LOST_DEVICES_MAX = 1
"""A job that was running on this many devices when they died is not tried on another."""


class Scheduler:
    """Owns the lanes of one device and every job on them; all its methods are thread-safe.

    A batch is formed when a worker asks for one, and not before: an idle device never waits to
    fill a batch, a busy one finds a full one. `on_done` of a job is called outside the lock.

    `workers` is how many batches run at a time. More may be taken, to be made ready meanwhile:
    not of jobs that are ready, since others may join them until their turn has come.
    A batch is prepared and answered by as many threads as `hosts`.
    """

    def __init__(self, *, workers: int, hosts: int = 1, clock: Clock, observer: Observer) -> None:
        self._hosts = hosts
        self._clock = clock
        self._observer = observer
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._quiet = threading.Condition(self._lock)
        self._alarm = threading.Condition(self._lock)
        self._due = math.inf
        """No job that waits has an earlier deadline."""
        self._lanes: list[Lane] = []
        self._under_way = UnderWay(workers)
        self._standing = Standing()
        self._settled = 0
        self._asked = 0
        self._admission = Admission(self._lanes, self._under_way, workers=workers, clock=clock)
        self._picking = Picking(
            self._lanes, self._under_way, self._standing, workers=workers, clock=clock
        )

    # -- lanes

    def add(self, lane: Lane) -> None:
        with self._lock:
            self._lanes.append(lane)

    def remove(self, lane: Lane, *, timeout_s: float | None = None) -> None:
        """Take no more jobs for `lane`, wait until those it has are settled, and drop it.

        What waits after `timeout_s` is given up; what runs ends with its step. Nothing uses the
        lane's backend afterwards.
        """
        with self._lock:
            lane.closing = True
            self._quiet.wait_for(lambda: lane.pending == 0, timeout_s)
            lane.closed = True
            left = lane.waiting()
            for job in left:
                self._settle(lane, job, self._drop_reason(lane, job))
        _tell(left)
        with self._lock:
            self._quiet.wait_for(lambda: not lane.running and not lane.holds)
            if lane in self._lanes:
                self._lanes.remove(lane)

    @contextlib.contextmanager
    def holding(self, lane: Lane) -> Iterator[bool]:
        """Keep `lane` from being dropped meanwhile. False if it is gone already."""
        with self._lock:
            here = lane in self._lanes
            lane.holds += here
        try:
            yield here
        finally:
            with self._lock:
                lane.holds -= here
                self._quiet.notify_all()

    @property
    def lanes(self) -> list[Lane]:
        with self._lock:
            return list(self._lanes)

    @property
    def pending(self) -> int:
        """Jobs that were admitted and are not settled."""
        with self._lock:
            return sum(lane.pending for lane in self._lanes)

    @property
    def settled(self) -> int:
        """Jobs that were, since the start."""
        return self._settled

    @property
    def asked(self) -> int:
        """Those of them that somebody asked for: all but probes."""
        return self._asked

    # -- jobs coming in

    def submit(
        self,
        lane: Lane,
        jobs: Sequence[Job],
        *,
        then: Sequence[Stage] = (),
        admitted: bool = False,
    ) -> None:
        """Queue all of one request's jobs, or none: BusyError or UnavailableError says why.

        `then` is what the caller will submit when these are done: the room and the time for that
        are asked for now. What was promised so may say that it is `admitted`.
        """
        with self._lock:
            predicted_s = 0.0
            try:
                if admitted:
                    self._standing.check_alive(lane)
                else:
                    predicted_s = self._admit(lane, jobs, then)
            except PanoptesError as error:
                self._observer.refused(lane.name, len(jobs), refusal_of(error))
                raise
            now = self._clock()
            then_s = sum([stage.alone_s for stage in then])
            for job in jobs:
                job.then_s = then_s
                lane.admit(job, now)
                self._push(lane, job, now)
            if len(jobs) == 1 and not then:
                lane.expect(jobs[0], predicted_s)
            self._observer.admitted(lane.name, len(jobs))
            self._work.notify(len(jobs))

    def check(self, lane: Lane, deadline: float, priority: Priority, *, ahead: int = 0) -> None:
        """What would be raised if a job of one step were submitted after so many others.

        BusyError counts as a refusal. Who is spared is promised nothing.
        """
        with self._lock:
            try:
                self._standing.check_open(lane)
                self._admission.check([Stage(lane, ahead + 1)], deadline, priority)
            except BusyError as error:
                self._observer.refused(lane.name, 1, refusal_of(error))
                raise

    def cancel(self, lane: Lane, job: Job, error: PanoptesError | None = None) -> None:
        """Settle a waiting job now; drop a running one after its step. A settled one stays so."""
        with self._lock:
            if job.state is State.RUNNING:
                job.abandoned = True
            if job.state is not State.QUEUED:
                return
            self._settle(lane, job, error or ClientGoneError("the client went away"))
        _tell([job])

    def expire(self) -> None:
        """Give up those who wait beyond their deadline. Who runs is let finish its step."""
        late = []
        with self._lock:
            now, self._due = self._clock(), math.inf
            for lane in self._lanes:
                for job in lane.waiting():
                    if job.deadline <= now:
                        self._settle(lane, job, too_late(job))
                        late.append(job)
                    elif job.deadline < self._due:
                        self._due = job.deadline
        _tell(late)

    def await_deadline(self) -> bool:
        """Wait until someone may have come to the deadline. False when the device stops."""
        with self._lock:
            while not self._standing.stopped and (left_s := self._due - self._clock()) > 0:
                self._alarm.wait(left_s if left_s < threading.TIMEOUT_MAX else None)
            return not self._standing.stopped

    # -- jobs going out, to a worker

    def take(self, *, block: bool = True) -> Batch | None:
        """The next batch for a worker that is free; None when the device stops.

        Without `block`, None also when nothing can run now.
        """
        while True:
            with self._lock:
                batch, dropped = self._pick()
                if batch is None and not dropped:
                    if self._standing.stopped or not block:
                        return None
                    self._work.wait()
            # Outside the lock: a listener may do as it likes.
            _tell(dropped)
            if batch is not None:
                return batch

    def worker_free(self, batch: Batch) -> None:
        """The worker that took this batch has dealt with every job of it."""
        with self._lock:
            self._under_way.remove(batch)
            self._place_is_free()

    def wanted(self, lane: Lane, jobs: Sequence[Job]) -> list[Job]:
        """Those of the running jobs that are worth running still; the others are settled."""
        kept, dropped = [], []
        with self._lock:
            for job in jobs:
                if reason := self._drop_reason(lane, job):
                    self._settle(lane, job, reason)
                    dropped.append(job)
                else:
                    kept.append(job)
        _tell(dropped)
        return kept

    def count_step(self, lane: Lane, job: Job) -> bool:
        """A running job has done a step. False if it was dropped, and is settled."""
        with self._lock:
            lane.count_step(job)
            # Past its deadline a job in its last step is answered all the same.
            unwanted = job.steps_left or job.abandoned
            if not (reason := self._drop_reason(lane, job) if unwanted else None):
                return True
            self._settle(lane, job, reason)
        _tell([job])
        return False

    def requeue(self, lane: Lane, jobs: Sequence[Job]) -> None:
        """The running jobs wait for their next step, with new inputs.

        All at once: one by one, a worker that idles would take the first from the others' batch.
        """
        dropped = []
        with self._lock:
            now = self._clock()
            for job in jobs:
                if reason := self._drop_reason(lane, job):
                    self._settle(lane, job, reason)
                    dropped.append(job)
                else:
                    lane.running -= 1
                    self._push(lane, job, now)
            self._work.notify(len(jobs) - len(dropped))
        _tell(dropped)

    def settle(self, lane: Lane, job: Job, error: Exception | None = None) -> None:
        """The outcome of a running job: its `result` as set, or `error`."""
        with self._lock:
            if error is None and job.abandoned:
                error = ClientGoneError("the client went away")
            if error is None:
                lane.cost.observe_host((job.timing.prepare_s + job.timing.finish_s) / self._hosts)
                lane.compare(job, self._clock())
            self._settle(lane, job, error)
        _tell([job])

    # -- what the workers measure

    def ran(self, batch: Batch, size: int, seconds: float, *, alone: bool) -> None:
        """A batch, or a part of it, took so long. One that had the whole device says nothing of a
        busy one."""
        self._observer.batch_ran(batch.lane.name, size, seconds)
        with self._lock:
            if not alone:
                batch.lane.cost.observe_run(size, seconds)
            self._under_way.ran(batch)
            self._place_is_free()

    def shrink(self, lane: Lane, size: int) -> None:
        """Batches of more than `size` do not fit into the device's memory."""
        with self._lock:
            lane.batch_cap = min(lane.batch_cap, size)

    # -- the device's health

    def lose(self, lane: Lane, jobs: Sequence[Job], what: str) -> bool:
        """The device died under these jobs. True for the worker that must rebuild it.

        A job waits for the rebuilt device, but only once: what kills devices must not go on.
        """
        failed = []
        with self._lock:
            for job in jobs:
                job.lost_devices += 1
                reason = self._drop_reason(lane, job)
                if reason is None and job.lost_devices > LOST_DEVICES_MAX:
                    reason = UnavailableError("the device died under this job")
                if reason is not None:
                    self._settle(lane, job, reason)
                    failed.append(job)
                else:
                    lane.running -= 1
                    self._push(lane, job, self._clock())
            first = self._standing.lost is None
            self._standing.lost = what
        _tell(failed)
        return first

    def recover(self) -> None:
        """The device is rebuilt."""
        with self._lock:
            self._standing.lost = None
            self._work.notify_all()

    @property
    def healthy(self) -> bool:
        return self._standing.healthy

    # -- the end

    def drain(self, timeout_s: float) -> bool:
        """Refuse what comes, finish what is here. False if the time was too short."""
        with self._lock:
            self._standing.draining = True
            return self._quiet.wait_for(
                lambda: not any(lane.pending for lane in self._lanes), timeout_s
            )

    def stop(self) -> None:
        """Settle what still waits, drop what runs after its step, and let the workers go."""
        with self._lock:
            self._standing.draining = self._standing.stopped = True
            left = []
            for lane in self._lanes:
                for job in lane.waiting():
                    self._settle(lane, job, UnavailableError("the server is stopping"))
                    left.append(job)
            self._work.notify_all()
            self._alarm.notify_all()
        _tell(left)

    def wait_s(
        self,
        lane: Lane,
        jobs: int = 1,
        steps: int = 1,
        *,
        then: Sequence[Stage] = (),
        priority: Priority = Priority.NORMAL,
    ) -> float:
        """When `jobs` more of `lane`, of `steps` each, and what is to follow them would be done:
        seconds from now, predicted."""
        with self._lock:
            return self._admission.wait_s((Stage(lane, jobs, steps), *then), priority)

    # -- under the lock

    def _push(self, lane: Lane, job: Job, now: float) -> None:
        lane.push(job, now)
        if job.deadline < self._due:
            self._due = job.deadline
            self._alarm.notify()

    def _place_is_free(self) -> None:
        """For a worker that found only jobs whose turn had not come."""
        if any(lane.queued for lane in self._lanes):
            self._work.notify()

    def _admit(self, lane: Lane, jobs: Sequence[Job], then: Sequence[Stage]) -> float:
        self._standing.check_open(lane)
        if not jobs:
            return 0.0
        stage = Stage(lane, len(jobs), max(map(_STEPS, jobs)))
        deadline, priority = min(map(_DEADLINE, jobs)), max(map(_PRIORITY, jobs))
        return self._admission.check((stage, *then), deadline, priority)

    def _pick(self) -> tuple[Batch | None, list[Job]]:
        """The batch to run now, if any, and the jobs that were dropped on the way."""
        batch, dropped = self._picking.next()
        for lane, job, reason in dropped:
            self._settle(lane, job, reason)
        return batch, [job for _, job, _ in dropped]

    def _drop_reason(self, lane: Lane, job: Job) -> PanoptesError | None:
        return self._standing.why_drop(lane, job, self._clock())

    def _settle(self, lane: Lane, job: Job, error: Exception | None) -> None:
        assert job.state is not State.DONE, "a job is settled once"
        lane.forget(job, self._clock())
        self._settled += 1
        self._asked += not job.probe
        job.error = error
        self._observer.settled(lane.name, job, outcome_of(error))
        if lane.pending == 0:
            self._quiet.notify_all()


def _tell(jobs: Sequence[Job]) -> None:
    for job in jobs:
        try:
            job.tell()
        except Exception:  # one listener's defect must reach neither the others nor the worker
            log.exception("a job's listener failed")
