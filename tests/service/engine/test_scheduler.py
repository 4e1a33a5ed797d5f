"""Every job is settled once: dropped, cancelled, drained or done; on a manual clock."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from service.engine.job import Job, Sample
from service.engine.lane import Lane
from service.errors import (
    ClientGoneError,
    DeadlineError,
    UnavailableError,
)
from tests.service.engine.scripted import (
    Rig,
    after,
    backend_of,
    counting_job,
    one_launch,
)

# -- what is dropped


def test_a_job_whose_deadline_has_passed_is_dropped_at_pick_time() -> None:
    rig = Rig()
    lane = rig.lane()
    late, fine = counting_job(deadline=1.0), counting_job(7)
    rig.scheduler.submit(lane, [late, fine])
    rig.clock.advance(1.0)

    rig.work_off()

    with pytest.raises(DeadlineError, match="the deadline passed"):
        late.outcome()
    assert fine.outcome() == after(7, 1)
    assert backend_of(lane).batches == [[7]]
    assert sorted(rig.observer.outcomes["lane"]) == ["answered", "expired"]


def test_a_job_whose_deadline_passes_between_steps_is_dropped_there() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch)
    job = counting_job(steps=5, deadline=2.5)
    rig.scheduler.submit(lane, [job])

    rig.work_off()

    with pytest.raises(DeadlineError, match="after 3 of 5 steps"):
        job.outcome()
    assert len(backend_of(lane).batches) == 3
    assert rig.observer.outcomes["lane"] == ["expired"]
    assert lane.steps_pending == 0


def test_a_job_whose_deadline_passes_in_its_last_step_is_answered() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch)
    job = counting_job(3, deadline=0.5)
    rig.scheduler.submit(lane, [job])

    rig.work_off()

    assert job.outcome() == after(3, 1)


def test_only_dropped_jobs_in_the_queue_are_no_batch() -> None:
    rig = Rig()
    lane = rig.lane()
    rig.scheduler.submit(lane, [counting_job(deadline=1.0) for _ in range(20)])
    rig.clock.advance(2.0)

    assert rig.take() is None
    assert rig.observer.outcomes["lane"] == ["expired"] * 20
    assert lane.pending == 0


def test_a_waiting_job_that_is_cancelled_is_settled_at_once() -> None:
    rig = Rig()
    lane = rig.lane()
    told: list[Job] = []
    job = counting_job(on_done=told.append, deadline=1.0)
    rig.scheduler.submit(lane, [job])

    rig.scheduler.cancel(lane, job)
    rig.clock.advance(2.0)
    rig.scheduler.cancel(lane, job)
    rig.scheduler.expire()

    assert told == [job]
    with pytest.raises(ClientGoneError):
        job.outcome()
    assert rig.take() is None
    assert rig.observer.outcomes["lane"] == ["cancelled"]


def test_a_job_that_is_cancelled_while_it_runs_is_dropped_after_its_step() -> None:
    rig = Rig()
    lane = rig.lane()
    finished: list[object] = []
    gone = counting_job(1, finish=finished.append)
    long_gone = counting_job(2, steps=3)
    stays = counting_job(3)
    rig.scheduler.submit(lane, [gone, long_gone, stays])
    batch = rig.take()
    rig.scheduler.cancel(lane, gone)
    rig.scheduler.cancel(lane, long_gone)

    assert batch is not None
    rig.worker.work(batch)
    rig.work_off()

    assert stays.outcome() == after(3, 1)
    assert rig.observer.outcomes["lane"].count("cancelled") == 2
    assert finished == [], "an answer that nobody reads is not made"
    assert backend_of(lane).batches == [[1, 2, 3]]


def test_a_job_that_is_cancelled_while_its_answer_is_made_is_cancelled() -> None:
    rig = Rig()
    lane = rig.lane()

    def finish(outputs: Sample) -> str:
        rig.scheduler.cancel(lane, job)
        return "nobody reads this"

    job = counting_job(finish=finish)
    rig.scheduler.submit(lane, [job])

    rig.work_off()

    with pytest.raises(ClientGoneError):
        job.outcome()
    assert rig.observer.outcomes["lane"] == ["cancelled"]


def test_an_expired_job_that_waits_is_given_up_and_one_that_runs_is_not() -> None:
    rig = Rig()
    lane = rig.lane(max_batch=1)
    runs, waits = counting_job(1, deadline=1.0), counting_job(2, deadline=1.0)
    has_time = counting_job(3, deadline=1.5)
    rig.scheduler.submit(lane, [runs, waits, has_time])
    batch = rig.take()
    rig.clock.advance(1.0)
    rig.scheduler.expire()

    assert isinstance(waits.error, DeadlineError)
    assert has_time.error is None
    assert batch is not None
    rig.worker.work(batch)
    assert runs.outcome() == after(1, 1)


def test_a_listener_that_fails_takes_nobody_with_it() -> None:
    rig = Rig()
    lane = rig.lane()

    def fails(job: Job) -> None:
        raise RuntimeError("the event loop is closed")

    told: list[Job] = []
    expired = [counting_job(deadline=1.0, on_done=listener) for listener in (fails, told.append)]
    fine = [counting_job(on_done=listener) for listener in (fails, told.append)]
    rig.scheduler.submit(lane, expired + fine)
    rig.clock.advance(2.0)

    rig.work_off()

    assert told == [expired[1], fine[1]]
    assert [job.result for job in fine] == [1, 1]


def test_a_listener_may_submit_the_next_job() -> None:
    rig = Rig()
    lane = rig.lane()
    second = counting_job(2)
    first = counting_job(1, on_done=lambda job: rig.scheduler.submit(lane, [second]))
    rig.scheduler.submit(lane, [first])
    rig.scheduler.cancel(lane, first)

    rig.work_off()

    assert second.outcome() == after(2, 1)


# -- the end


def test_a_draining_device_refuses_what_comes_and_finishes_what_is_here() -> None:
    rig = Rig()
    lane = rig.lane()
    job = counting_job(1, steps=3)
    rig.scheduler.submit(lane, [job])

    assert rig.scheduler.drain(0.0) is False
    with pytest.raises(UnavailableError, match="the server is stopping"):
        rig.scheduler.submit(lane, [counting_job()])
    rig.work_off()

    assert rig.scheduler.drain(0.0) is True
    assert job.outcome() == after(1, 3)
    assert rig.observer.refusals == [("lane", 1, "unavailable")]


def test_a_drain_ends_when_the_last_job_is_settled() -> None:
    rig = Rig()
    lane = rig.lane()
    rig.scheduler.submit(lane, [counting_job()])
    batch = rig.take()
    assert batch is not None
    drained: list[bool] = []
    thread = threading.Thread(target=lambda: drained.append(rig.scheduler.drain(60.0)))
    thread.start()
    rig.worker.work(batch)
    thread.join(60.0)

    assert drained == [True]


def test_stopping_settles_what_waits_and_what_runs_after_its_step() -> None:
    rig = Rig()
    lane = rig.lane(max_batch=2)
    last_step, long, waits = counting_job(1), counting_job(2, steps=3), counting_job(3)
    rig.scheduler.submit(lane, [last_step, long, waits])
    batch = rig.take()
    rig.scheduler.stop()

    with pytest.raises(UnavailableError, match="the server is stopping"):
        waits.outcome()
    assert batch is not None
    rig.worker.work(batch)
    assert last_step.outcome() == after(1, 1)
    with pytest.raises(UnavailableError, match="the server is stopping"):
        long.outcome()
    assert not rig.scheduler.healthy
    assert rig.scheduler.take() is None, "a worker that asks is let go"


def test_stopping_wakes_the_workers_that_wait() -> None:
    rig = Rig(workers=2)
    taken: list[object] = []
    threads = [
        threading.Thread(target=lambda: taken.append(rig.scheduler.take())) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    rig.scheduler.stop()
    for thread in threads:
        thread.join(60.0)

    assert taken == [None, None]


# -- removing a lane


def in_thread(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    return thread


def until_refused(rig: Rig, lane: Lane) -> None:
    """Ask, with requests of no samples, until a removal in another thread has begun."""
    with pytest.raises(UnavailableError):
        while True:
            rig.scheduler.submit(lane, [])


def test_a_lane_is_removed_when_its_jobs_are_done_and_takes_no_new_ones() -> None:
    rig = Rig()
    lane, other = rig.lane(), rig.lane("other")
    job = counting_job(1, steps=3)
    rig.scheduler.submit(lane, [job])
    removal = in_thread(lambda: rig.scheduler.remove(lane))
    until_refused(rig, lane)

    with pytest.raises(UnavailableError, match="the model is being unloaded"):
        rig.scheduler.submit(lane, [counting_job()])
    assert rig.scheduler.lanes == [lane, other]
    rig.work_off()
    removal.join(60.0)

    assert job.outcome() == after(1, 3)
    assert rig.scheduler.lanes == [other]


def test_a_lane_whose_time_is_up_gives_up_its_jobs_and_waits_for_what_runs() -> None:
    rig = Rig()
    lane = rig.lane(max_batch=2)
    told = threading.Event()
    last_step, long = counting_job(1), counting_job(2, steps=3)
    waits = counting_job(3, on_done=lambda job: told.set())
    rig.scheduler.submit(lane, [last_step, long, waits])
    batch = rig.take()
    removal = in_thread(lambda: rig.scheduler.remove(lane, timeout_s=0.0))

    assert told.wait(60.0), "who waits is told before what runs has ended"
    with pytest.raises(UnavailableError, match="the model was unloaded"):
        waits.outcome()
    assert removal.is_alive()
    assert batch is not None
    rig.worker.work(batch)
    removal.join(60.0)

    assert last_step.outcome() == after(1, 1)
    with pytest.raises(UnavailableError, match="the model was unloaded"):
        long.outcome()
    assert rig.scheduler.lanes == []


def test_an_idle_lane_is_removed_at_once_and_twice_does_no_harm() -> None:
    rig = Rig()
    lane = rig.lane()
    rig.scheduler.remove(lane)
    rig.scheduler.remove(lane)

    assert rig.scheduler.lanes == []


def test_a_lane_on_a_dead_device_can_be_removed() -> None:
    rig = Rig()
    lane = rig.lane()
    job = counting_job()
    rig.scheduler.submit(lane, [job])
    batch = rig.take()
    assert batch is not None
    rig.scheduler.lose(lane, batch.jobs, "gone")
    rig.scheduler.remove(lane, timeout_s=0.0)

    with pytest.raises(UnavailableError):
        job.outcome()


def test_a_lane_is_not_dropped_while_its_backend_is_being_rebuilt() -> None:
    rig = Rig()
    lane = rig.lane()
    with rig.scheduler.holding(lane) as here:
        assert here
        removal = in_thread(lambda: rig.scheduler.remove(lane))
        until_refused(rig, lane)
        assert rig.scheduler.lanes == [lane]
    removal.join(60.0)

    assert rig.scheduler.lanes == []
    with rig.scheduler.holding(lane) as here:
        assert not here


def test_a_stopped_device_lets_a_removal_end() -> None:
    rig = Rig()
    lane = rig.lane()
    rig.scheduler.submit(lane, [counting_job()])
    removal = in_thread(lambda: rig.scheduler.remove(lane))
    rig.scheduler.stop()
    removal.join(60.0)

    assert rig.scheduler.lanes == []
