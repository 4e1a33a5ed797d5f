"""What goes wrong with a batch, and that it reaches those jobs that it concerns and no others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from service.engine.backends.backend import DeviceLostError, OutOfMemoryError
from service.engine.job import Job, Sample, State
from service.engine.lane import Lane
from service.errors import (
    BadImageError,
    ClientGoneError,
    DeadlineError,
    ModelRunError,
    UnavailableError,
)
from tests.service.engine.scripted import Rig, after, backend_of, counting_job


def submit(rig: Rig, lane: Lane, xs: list[int], **of_the_job: Any) -> list[Job]:
    jobs = [counting_job(x, **of_the_job) for x in xs]
    rig.scheduler.submit(lane, jobs)
    return jobs


# -- one sample


def test_an_input_that_is_refused_is_its_own_jobs_outcome_alone() -> None:
    rig = Rig()
    lane = rig.lane()

    def broken() -> Sample:
        raise BadImageError("not an image")

    bad, good = counting_job(prepare=broken), counting_job(4)
    rig.scheduler.submit(lane, [bad, good])

    rig.work_off()

    with pytest.raises(BadImageError, match="not an image"):
        bad.outcome()
    assert good.outcome() == after(4, 1)
    assert rig.observer.outcomes["lane"] == ["rejected", "answered"]


@pytest.mark.parametrize("part", ["prepare", "advance", "finish"])
def test_a_defect_of_a_task_is_told_without_its_words(part: str) -> None:
    rig = Rig()
    lane = rig.lane()

    def broken(*_: object) -> Sample:
        raise KeyError("/secret/path")

    bad, good = counting_job(steps=2, **{part: broken}), counting_job(4, steps=2)
    rig.scheduler.submit(lane, [bad, good])

    rig.work_off()

    with pytest.raises(ModelRunError) as error:
        bad.outcome()
    assert "secret" not in error.value.detail
    assert good.outcome() == after(4, 2)
    assert lane.steps_pending == 0


def test_a_bad_sample_fails_alone() -> None:
    rig = Rig()
    lane = rig.lane()
    jobs = submit(rig, lane, [1, -5, 2])

    rig.work_off()

    assert backend_of(lane).batches == [[1, -5, 2], [1], [-5], [2]]
    assert [jobs[0].outcome(), jobs[2].outcome()] == [after(1, 1), after(2, 1)]
    with pytest.raises(ModelRunError, match="the model failed on this input"):
        jobs[1].outcome()
    assert lane.batch_cap == 8, "a bad sample says nothing of memory"


def test_a_sample_that_does_not_stack_fails_alone() -> None:
    rig = Rig()
    lane = rig.lane()
    bad = counting_job(prepare=lambda: {"y": np.zeros(3)})
    good = [counting_job(x) for x in (1, 2)]
    rig.scheduler.submit(lane, [good[0], bad, good[1]])

    rig.work_off()

    assert [job.outcome() for job in good] == [after(1, 1), after(2, 1)]
    assert isinstance(bad.error, ModelRunError)


def test_a_task_that_prepares_nothing_shifts_no_answer_to_another() -> None:
    rig = Rig()
    lane = rig.lane()
    nothing = counting_job(prepare=lambda: None)
    good = [counting_job(x) for x in (1, 2)]
    rig.scheduler.submit(lane, [nothing, *good])

    rig.work_off()

    assert [job.outcome() for job in good] == [after(1, 1), after(2, 1)]
    assert isinstance(nothing.error, ModelRunError)


def test_outputs_of_another_batch_size_are_given_to_nobody() -> None:
    rig = Rig()
    lane = rig.lane()
    backend_of(lane).run = lambda inputs, *, alone=False: {"x": np.arange(7)}
    jobs = submit(rig, lane, [1, 2])

    rig.work_off()

    assert all(isinstance(job.error, ModelRunError) for job in jobs)


def test_a_retry_passes_over_those_that_nobody_wants_any_more() -> None:
    rig = Rig()
    lane = rig.lane(seconds=lambda batch: 1.0)
    jobs = [counting_job(x) for x in (-1, 2, 3)] + [counting_job(4, deadline=2.5)]
    jobs[0].on_done = lambda job: rig.scheduler.cancel(lane, jobs[2])
    rig.scheduler.submit(lane, jobs)

    rig.work_off()

    # One second for the batch and one for the first alone; the third job is cancelled by then.
    assert backend_of(lane).batches == [[-1, 2, 3, 4], [-1], [2]]
    assert jobs[1].outcome() == after(2, 1)
    assert isinstance(jobs[2].error, ClientGoneError)
    assert isinstance(jobs[3].error, DeadlineError)


def test_a_defect_of_the_engine_fails_the_jobs_and_frees_the_worker() -> None:
    rig = Rig()
    lane = rig.lane()
    rig.observer.defects = {"batch_ran"}
    jobs = submit(rig, lane, [1, 2])
    rig.work_off()
    rig.observer.defects = set()

    assert all(isinstance(job.error, ModelRunError) for job in jobs)
    (next_job,) = submit(rig, lane, [3])
    rig.work_off()
    assert next_job.outcome() == after(3, 1)


def test_a_defect_settles_no_job_that_another_worker_runs_by_then() -> None:
    rig = Rig(workers=2)
    lane, blocker = rig.lane(), rig.lane("blocker")
    taken = []

    def finish(outputs: Sample) -> None:
        taken.append(rig.take())  # the other worker is at the next step of the long job
        rig.observer.defects = {"settled"}

    rig.scheduler.submit(blocker, [counting_job()])
    blocking = rig.take()
    long, short = counting_job(1, steps=2), counting_job(2, finish=finish)
    rig.scheduler.submit(lane, [long, short])
    batch = rig.take()
    assert blocking is not None and batch is not None
    rig.worker.work(blocking)
    rig.worker.work(batch)
    rig.observer.defects = set()

    assert taken[0].jobs == [long]
    assert long.state is State.RUNNING
    rig.worker.work(taken[0])
    assert long.outcome() == after(1, 2)


# -- memory


def test_out_of_memory_lowers_the_cap_and_the_jobs_succeed_in_parts() -> None:
    rig = Rig()
    lane = rig.lane()
    backend_of(lane).fits = 3
    jobs = submit(rig, lane, list(range(8)))

    rig.work_off()

    assert [job.outcome() for job in jobs] == [after(x, 1) for x in range(8)]
    assert lane.batch_cap == 2
    assert [len(b) for b in backend_of(lane).batches] == [8, 4, 2, 2, 2, 2], "never 4 again"
    later = submit(rig, lane, list(range(4)))
    rig.work_off()
    assert [len(b) for b in backend_of(lane).batches[6:]] == [2, 2]
    assert [job.outcome() for job in later] == [after(x, 1) for x in range(4)]


def test_a_single_sample_that_does_not_fit_fails() -> None:
    rig = Rig()
    lane = rig.lane()
    backend_of(lane).fits = 0
    jobs = submit(rig, lane, [1, 2])

    rig.work_off()

    assert all(isinstance(job.error, ModelRunError) for job in jobs)
    assert lane.batch_cap == 1


def test_out_of_memory_in_the_midst_of_long_jobs_loses_no_step() -> None:
    rig = Rig()
    lane = rig.lane()
    jobs = submit(rig, lane, [1, 2, 3], steps=4)
    rig.work()
    backend_of(lane).faults = [OutOfMemoryError("another program took it")]

    rig.work_off()

    assert [job.outcome() for job in jobs] == [after(x, 4) for x in (1, 2, 3)]
    assert lane.batch_cap == 2


# -- the device


def test_jobs_on_a_device_that_dies_are_answered_by_the_rebuilt_one() -> None:
    rig = Rig()
    lane, other = rig.lane(), rig.lane("other")
    jobs = submit(rig, lane, [1, 2], steps=3)
    rig.work()
    backend_of(lane).faults = [DeviceLostError("fell off the bus")]

    rig.work_off()

    assert [job.outcome() for job in jobs] == [after(1, 3), after(2, 3)]
    assert rig.observer.events == ["lost: fell off the bus", "rebuilt"]
    assert (backend_of(lane).rebuilds, backend_of(other).rebuilds) == (1, 1)
    assert rig.scheduler.healthy


def test_a_rebuild_that_fails_is_tried_again() -> None:
    rig = Rig()
    lane = rig.lane()
    backend_of(lane).faults = [DeviceLostError("gone")]
    backend_of(lane).rebuild_faults = [RuntimeError("not yet"), RuntimeError("not yet")]
    (job,) = submit(rig, lane, [1])

    rig.work_off()

    assert job.outcome() == after(1, 1)
    assert rig.observer.events == ["lost: gone", "rebuilt"]


def test_a_lost_device_refuses_jobs_until_it_is_rebuilt() -> None:
    rig = Rig()
    lane = rig.lane()
    (job,) = submit(rig, lane, [1])
    rig.worker.stop()  # so that it does not rebuild
    backend_of(lane).faults = [DeviceLostError("gone")]
    rig.work()

    assert not rig.scheduler.healthy
    assert rig.take() is None
    with pytest.raises(UnavailableError, match="the device is being rebuilt"):
        submit(rig, lane, [2])
    assert rig.observer.refusals == [("lane", 1, "unavailable")]

    rig.scheduler.recover()
    rig.work_off()
    assert rig.scheduler.healthy
    assert job.outcome() == after(1, 1)


def test_only_the_first_of_two_workers_rebuilds() -> None:
    rig = Rig(workers=2)
    lane = rig.lane()
    jobs = submit(rig, lane, [1, 2])
    first, second = rig.take(), rig.take()
    assert first is not None and second is not None

    assert rig.scheduler.lose(lane, first.jobs, "gone") is True
    assert rig.scheduler.lose(lane, second.jobs, "gone") is False
    rig.scheduler.worker_free(first)
    rig.scheduler.worker_free(second)
    rig.scheduler.recover()
    rig.work_off()

    assert [job.outcome() for job in jobs] == [after(1, 1), after(2, 1)]


class KilledBy13:
    """A device that dies of one input, each time."""

    def __init__(self) -> None:
        self.deaths = 0
        self.batches: list[list[int]] = []

    def run(self, inputs: Sample, *, alone: bool = False) -> Sample:
        x = inputs["x"].astype(np.int64)
        self.batches.append([int(value) for value in x])
        if 13 in x:
            self.deaths += 1
            raise DeviceLostError("illegal address")
        return {"x": 3 * x + 1}

    def rebuild(self) -> None: ...

    def close(self) -> None: ...


def test_what_kills_the_device_does_so_twice_at_most_and_then_alone() -> None:
    rig = Rig()
    backend = KilledBy13()
    lane = Lane("lane", backend, max_batch=8, capacity=64)
    rig.scheduler.add(lane)
    jobs = submit(rig, lane, [1, 13, 2])

    rig.work_off()

    assert backend.batches == [[1, 13, 2], [1], [13], [2]]
    assert backend.deaths == 2
    assert [jobs[0].outcome(), jobs[2].outcome()] == [after(1, 1), after(2, 1)]
    with pytest.raises(UnavailableError, match="the device died under this job"):
        jobs[1].outcome()


def test_those_that_come_after_a_death_do_not_share_a_batch_with_a_suspect() -> None:
    rig = Rig()
    backend = KilledBy13()
    lane = Lane("lane", backend, max_batch=8, capacity=64)
    rig.scheduler.add(lane)
    submit(rig, lane, [13])
    rig.work()
    later = submit(rig, lane, [4, 5])

    rig.work_off()

    assert backend.batches == [[13], [13], [4, 5]]
    assert [job.outcome() for job in later] == [after(4, 1), after(5, 1)]


def test_jobs_on_a_lost_device_are_dropped_when_nobody_wants_them() -> None:
    rig = Rig()
    lane = rig.lane()
    jobs = [counting_job(1), counting_job(2, deadline=1.0), counting_job(3)]
    rig.scheduler.submit(lane, jobs)
    batch = rig.take()
    assert batch is not None
    rig.scheduler.cancel(lane, jobs[0])
    rig.clock.advance(1.0)
    backend_of(lane).faults = [DeviceLostError("gone")]
    rig.worker.work(batch)
    rig.work_off()

    assert isinstance(jobs[0].error, ClientGoneError)
    assert isinstance(jobs[1].error, DeadlineError)
    assert jobs[2].outcome() == after(3, 1)


def test_a_device_that_dies_in_a_retry_answers_all_that_can_be_answered() -> None:
    rig = Rig()
    lane = rig.lane()
    backend_of(lane).faults = [RuntimeError("once"), DeviceLostError("gone")]
    jobs = submit(rig, lane, [1, 2, 3])

    rig.work_off()

    assert [job.outcome() for job in jobs] == [after(x, 1) for x in (1, 2, 3)]
    assert backend_of(lane).batches == [[1, 2, 3], [1], [1], [2, 3]]


def test_those_left_of_a_retry_can_be_given_up_while_the_device_is_rebuilt() -> None:
    rig = Rig()
    lane = rig.lane()
    jobs = submit(rig, lane, [1, 2, 3])
    jobs[2].deadline = 1.0
    backend = backend_of(lane)
    backend.faults = [RuntimeError("once"), DeviceLostError("gone")]
    settled_meanwhile = []

    def rebuild() -> None:
        rig.scheduler.cancel(lane, jobs[1])
        rig.clock.advance(1.0)
        rig.scheduler.expire()
        settled_meanwhile.extend(job.state for job in jobs)

    backend.rebuild = rebuild
    rig.work_off()

    assert settled_meanwhile == [State.QUEUED, State.DONE, State.DONE]
    assert jobs[0].outcome() == after(1, 1)


def test_a_device_that_dies_while_the_server_stops_leaves_no_job_behind() -> None:
    rig = Rig()
    lane = rig.lane()
    backend_of(lane).faults = [RuntimeError("once"), DeviceLostError("gone")]
    jobs = submit(rig, lane, [1, 2, 3])
    batch = rig.take()
    rig.scheduler.stop()
    rig.worker.stop()
    assert batch is not None

    rig.worker.work(batch)

    assert all(isinstance(job.error, UnavailableError) for job in jobs)
    assert backend_of(lane).rebuilds == 0


def test_a_backend_that_was_closed_is_not_opened_by_a_rebuild() -> None:
    rig = Rig()
    lane, other = rig.lane(), rig.lane("other")

    def unload_other() -> None:
        rig.scheduler.remove(other)
        other.backend.close()

    lane_backend = backend_of(lane)
    lane_backend.rebuild = unload_other
    lane_backend.faults = [DeviceLostError("gone")]
    (job,) = submit(rig, lane, [1])

    rig.work_off()

    assert job.outcome() == after(1, 1)
    assert backend_of(other).closed
    assert rig.observer.events == ["lost: gone", "rebuilt"]


# -- accounts


def test_the_time_of_a_job_is_told_part_by_part() -> None:
    rig = Rig()
    lane = rig.lane(seconds=lambda batch: 1.0)

    def slow_prepare() -> Sample:
        rig.clock.advance(0.25)
        return {"x": np.array(1)}

    def slow_finish(outputs: Sample) -> int:
        rig.clock.advance(0.5)
        return int(outputs["x"])

    job = counting_job(prepare=slow_prepare, finish=slow_finish, steps=2)
    rig.scheduler.submit(lane, [job])
    rig.clock.advance(2.0)

    rig.work_off()

    timing = job.timing
    assert (timing.queue_s, timing.prepare_s, timing.run_s, timing.finish_s) == (
        2.0,
        0.25,
        2.0,
        0.5,
    )
    assert lane.cost.seconds(1) == pytest.approx(0.75), "what the host takes is part of the cost"
