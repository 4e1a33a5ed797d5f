"""Whatever happens in whatever order: the accounts hold and every job is settled once."""

from __future__ import annotations

import collections
import math
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from service.engine.backends.backend import DeviceLostError, OutOfMemoryError
from service.engine.batch import Batch
from service.engine.job import Job, Priority, Sample, State
from service.engine.lane import Lane
from service.errors import BadImageError, BusyError, PayloadTooLargeError, UnavailableError
from tests.service.engine.scripted import Rig, after, backend_of, counting_job

WORKERS = 3
CAPACITY = 12
ENDINGS_AFTER = 25
"""Rules before a drain or a stop may come: they end most of what is interesting."""

FAULTS = {
    "fails": RuntimeError("now and then"),
    "out of memory": OutOfMemoryError("now and then"),
    "lost": DeviceLostError("now and then"),
}


@dataclass(eq=False)
class Known:
    """A job as the one who submitted it sees it."""

    job: Job
    lane: Lane
    x: int
    told: int = 0
    admitted: bool = False


@dataclass
class World:
    rig: Rig = field(default_factory=lambda: Rig(workers=WORKERS))
    lanes: list[Lane] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
    taken: list[Batch] = field(default_factory=list)
    lost: bool = False
    ending: bool = False
    rules: int = 0


class SchedulerStates(RuleBasedStateMachine):
    """Batches are taken and worked on apart, so that anything may happen while one runs."""

    @initialize(costs=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=2, max_size=3))
    def begin(self, costs: list[float]) -> None:
        self.world = World()
        self.world.rig.worker.stop()  # a lost device stays so until `recover`
        for index, launch_s in enumerate(costs):
            self._add_lane(f"lane {index}", launch_s)

    def _add_lane(self, name: str, launch_s: float) -> None:
        lane = self.world.rig.lane(
            name,
            seconds=lambda batch: launch_s + 0.125 * batch,
            measure=(1, 4) if launch_s else (),
            max_batch=4,
            capacity=CAPACITY,
        )
        self.world.lanes.append(lane)

    # -- what callers do

    @rule(
        data=st.data(),
        xs=st.lists(st.integers(-2, 9), min_size=1, max_size=5),
        steps=st.integers(1, 4),
        priority=st.sampled_from(Priority),
        patience_s=st.sampled_from([math.inf, math.inf, 0.25, 2.0, 8.0]),
        broken=st.sampled_from(["", "", "", "prepare", "advance", "finish"]),
    )
    def submit(
        self,
        data: st.DataObject,
        xs: list[int],
        steps: int,
        priority: Priority,
        patience_s: float,
        broken: str,
    ) -> None:
        world = self.world
        lane = data.draw(st.sampled_from(world.lanes))
        request = [self._job(lane, x, steps, priority, patience_s, broken) for x in xs]
        fits = lane.pending + len(xs) <= CAPACITY
        try:
            world.rig.scheduler.submit(lane, [known.job for known in request])
        except UnavailableError:
            assert world.lost or world.ending
        except (BusyError, PayloadTooLargeError):
            assert not fits or math.isfinite(patience_s)
        else:
            assert fits and not world.lost and not world.ending
            for known in request:
                known.admitted = True
        world.known += request

    def _job(
        self, lane: Lane, x: int, steps: int, priority: Priority, patience_s: float, broken: str
    ) -> Known:
        def refuses(*_: object) -> Sample:
            raise BadImageError("broken")

        def on_done(job: Job) -> None:
            assert job.state is State.DONE
            known.told += 1

        job = counting_job(
            x,
            steps=steps,
            priority=priority,
            deadline=self.world.rig.clock() + patience_s,
            on_done=on_done,
            **({broken: refuses} if broken else {}),
        )
        known = Known(job, lane, x)
        return known

    @precondition(lambda self: self.world.known)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        known = data.draw(st.sampled_from(self.world.known))
        if known.admitted:
            self.world.rig.scheduler.cancel(known.lane, known.job)

    @rule()
    def expire(self) -> None:
        self.world.rig.scheduler.expire()

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.rig.clock.advance(seconds)

    # -- what workers do

    @precondition(lambda self: len(self.world.taken) < WORKERS)
    @rule()
    def take(self) -> None:
        world = self.world
        batch = world.rig.take()
        if batch is None:
            assert world.lost or not any(lane.queued for lane in world.lanes)
            return
        assert 1 <= len(batch.jobs) <= batch.lane.batch_cap
        assert not batch.alone or not world.taken
        assert len(batch.jobs) == 1 or not any(job.lost_devices for job in batch.jobs)
        world.taken.append(batch)

    @precondition(lambda self: self.world.taken)
    @rule(data=st.data(), faults=st.lists(st.sampled_from(["", "", *FAULTS]), max_size=4))
    def work(self, data: st.DataObject, faults: list[str]) -> None:
        world = self.world
        batch = data.draw(st.sampled_from(world.taken))
        world.taken.remove(batch)
        self._work(batch, faults)

    def _work(self, batch: Batch, faults: list[str]) -> None:
        world, backend = self.world, backend_of(batch.lane)
        if world.lost:  # whatever runs on a dead device ends like this
            faults = ["lost"] * 20
        backend.faults = [FAULTS[fault] for fault in faults if fault]
        due = len(backend.faults)
        lost_before = world.lost
        world.rig.worker.work(batch)
        raised = faults_raised(faults, due - len(backend.faults))
        backend.faults = []
        world.lost = lost_before or "lost" in raised

    @rule()
    def recover(self) -> None:
        self.world.rig.scheduler.recover()
        self.world.lost = False

    # -- what operators do

    @precondition(lambda self: len(self.world.lanes) > 1)
    @rule(data=st.data())
    def remove_a_lane(self, data: st.DataObject) -> None:
        world = self.world
        lane = data.draw(st.sampled_from(world.lanes))
        for batch in [batch for batch in world.taken if batch.lane is lane]:
            world.taken.remove(batch)
            self._work(batch, [])
        world.rig.scheduler.remove(lane, timeout_s=0.0)
        lane.backend.close()
        world.lanes.remove(lane)
        assert lane not in world.rig.scheduler.lanes

    @precondition(lambda self: len(self.world.lanes) < 4)
    @rule(launch_s=st.sampled_from([0.0, 1.0]))
    def load_a_lane(self, launch_s: float) -> None:
        self._add_lane(f"lane of rule {self.world.rules}", launch_s)

    @precondition(lambda self: self.world.rules > ENDINGS_AFTER)
    @rule(stop=st.booleans())
    def end(self, stop: bool) -> None:
        world = self.world
        world.ending = True
        if stop:
            world.rig.scheduler.stop()
        else:
            pending = any(lane.pending for lane in world.lanes)
            assert world.rig.scheduler.drain(0.0) is not pending

    # -- what holds all the time

    @invariant()
    def accounts_hold(self) -> None:
        world = self.world
        world.rules += 1
        running = collections.Counter(id(job) for batch in world.taken for job in batch.jobs)
        assert max(running.values(), default=1) == 1, "a job is in one batch at a time"
        for lane in world.lanes:
            jobs = [known.job for known in world.known if known.lane is lane and known.admitted]
            states = collections.Counter(job.state for job in jobs)
            pending = [job for job in jobs if job.state is not State.DONE]
            assert lane.queued == states[State.QUEUED] == len(lane.waiting())
            assert lane.running == states[State.RUNNING]
            assert lane.steps_pending == sum(job.steps_left for job in pending)
            assert lane.pending <= CAPACITY
            assert all(job.steps_left >= 1 for job in pending)
        for batch in world.taken:
            assert all(job.state is State.RUNNING for job in batch.jobs)
        assert sum(lane.running for lane in world.lanes) == len(running)

    @invariant()
    def every_job_is_settled_once_and_told_once(self) -> None:
        for known in self.world.known:
            done = known.job.state is State.DONE
            assert known.told == done
            assert known.admitted or known.job.state is State.NEW
            if done and known.job.error is None:
                assert known.job.outcome() == after(known.x, known.job.steps)

    @invariant()
    def the_observer_hears_of_each(self) -> None:
        world = self.world
        observer = world.rig.observer
        for lane in {known.lane for known in world.known}:
            mine = [known for known in world.known if known.lane is lane and known.admitted]
            assert observer.admitted_jobs[lane.name] == len(mine)
            assert len(observer.outcomes[lane.name]) == sum(known.told for known in mine)
            assert observer.outcomes[lane.name].count("answered") == sum(
                known.told and known.job.error is None for known in mine
            )

    @invariant()
    def predictions_are_times(self) -> None:
        for lane in self.world.lanes:
            assert 0.0 <= self.world.rig.scheduler.wait_s(lane, jobs=2, steps=3) < math.inf

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.rig.scheduler.stop()
        for batch in world.taken:
            world.rig.worker.work(batch)
        assert world.rig.take() is None
        assert all(known.told == 1 for known in world.known if known.admitted)
        assert not any(lane.pending or lane.steps_pending for lane in world.lanes)
        assert world.rig.scheduler.drain(0.0) is True


def faults_raised(faults: list[str], count: int) -> list[str]:
    return [fault for fault in faults if fault][:count]


TestSchedulerStates = SchedulerStates.TestCase
TestSchedulerStates.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
