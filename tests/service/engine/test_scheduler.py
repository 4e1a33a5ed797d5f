"""What runs next, what is admitted and what is dropped: driven by hand, on a manual clock."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from service.engine.admission import SAFETY
from service.engine.batch import Batch
from service.engine.job import Job, Priority, Sample, State
from service.engine.lane import Lane
from service.errors import (
    BusyError,
    ClientGoneError,
    DeadlineError,
    PayloadTooLargeError,
    QueueFullError,
    UnavailableError,
)
from tests.service.engine.scripted import Rig, after, backend_of, counting_job


def one_launch(batch: int) -> float:
    """An accelerator: eight samples cost what one does."""
    return 1.0


def one_by_one(batch: int) -> float:
    """A core: every sample costs the same."""
    return 1.0 * batch


# -- late batching


def test_an_idle_device_runs_a_single_job_at_once() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    job = counting_job(5)
    rig.scheduler.submit(lane, [job])

    batch = rig.work()

    assert batch is not None and batch.jobs == [job]
    assert job.outcome() == after(5, 1)


def test_a_busy_device_finds_a_full_batch_when_it_is_free() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(lane, [counting_job()])
    running = rig.take()
    for x in range(10):
        rig.scheduler.submit(lane, [counting_job(x)])
    assert running is not None
    rig.worker.work(running)

    rig.work_off()

    assert [len(batch) for batch in backend_of(lane).batches] == [1, 8, 2]


def test_where_a_batch_does_not_pay_none_is_formed() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_by_one, measure=(1, 2, 4, 8))
    rig.scheduler.submit(lane, [counting_job(x) for x in range(3)])

    rig.work_off()

    assert backend_of(lane).batches == [[0], [1], [2]]


def test_idle_workers_share_what_waits() -> None:
    rig = Rig(workers=2)
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(lane, [counting_job(x) for x in range(6)])

    first, second = rig.take(), rig.take()

    assert first is not None and second is not None
    assert (len(first.jobs), len(second.jobs)) == (3, 3)


def test_a_batch_knows_whether_it_has_the_device_to_itself() -> None:
    rig = Rig(workers=2)
    lane, other = rig.lane("lane"), rig.lane("other")
    rig.scheduler.submit(lane, [counting_job()])
    alone = rig.take()
    rig.scheduler.submit(lane, [counting_job()])
    beside = rig.take()
    assert alone is not None and beside is not None
    rig.worker.work(alone)
    rig.worker.work(beside)
    rig.scheduler.submit(lane, [counting_job()])
    rig.scheduler.submit(other, [counting_job()])
    before = rig.take()

    assert before is not None
    assert (alone.alone, beside.alone, before.alone) == (True, False, False)


@pytest.mark.parametrize(("modest", "alone"), [([True, False], True), ([True, True], False)])
def test_modest_jobs_leave_the_rest_of_an_idle_device_alone(
    modest: list[bool], alone: bool
) -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(lane, [counting_job(modest=each) for each in modest])

    batch = rig.take()

    assert batch is not None and batch.alone is alone


def test_what_a_lone_batch_took_says_nothing_of_a_busy_device() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch)
    rig.scheduler.submit(lane, [counting_job()])
    rig.work_off()
    assert lane.cost.points() == {}

    rig.scheduler.submit(lane, [counting_job(), counting_job()])
    lane.batch_cap = 1
    rig.work_off()

    assert lane.cost.points() == {1: 1.0}


# -- between lanes


def test_the_most_urgent_lane_runs_first() -> None:
    rig = Rig()
    patient, urgent = rig.lane("patient"), rig.lane("urgent")
    rig.scheduler.submit(patient, [counting_job(priority=Priority.LOW)])
    rig.scheduler.submit(urgent, [counting_job(priority=Priority.HIGH)])

    rig.work_off()

    assert [name for name, _ in rig.observer.batches] == ["urgent", "patient"]


def test_a_job_of_one_step_runs_between_the_steps_of_another_lane() -> None:
    rig = Rig()
    painter = rig.lane("paint", seconds=lambda batch: 0.3)
    seer = rig.lane("see", seconds=lambda batch: 0.01)
    long = counting_job(2, steps=6)
    rig.scheduler.submit(painter, [long])
    rig.work()
    rig.scheduler.submit(seer, [counting_job(priority=Priority.HIGH)])
    rig.work()
    rig.work()
    rig.scheduler.submit(seer, [counting_job()])

    rig.work_off()

    order = [name for name, _ in rig.observer.batches]
    assert order[:2] == ["paint", "see"], "an urgent one goes before the next step"
    assert order[2:] != ["paint"] * 5 + ["see"], "an ordinary one does not wait for the last step"
    assert long.outcome() == after(2, 6)


def test_two_long_jobs_of_two_lanes_take_turns() -> None:
    rig = Rig()
    lanes = [rig.lane(name, seconds=lambda batch: 0.1) for name in ("a", "b")]
    for lane in lanes:
        rig.scheduler.submit(lane, [counting_job(steps=4)])

    rig.work_off()

    assert [name for name, _ in rig.observer.batches] == ["a", "b"] * 4


def test_a_new_job_joins_at_the_next_step_of_those_under_way() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    early, late = counting_job(1, steps=4), counting_job(2, steps=2)
    rig.scheduler.submit(lane, [early])
    rig.work()
    rig.scheduler.submit(lane, [late])

    rig.work_off()

    assert [len(batch) for batch in backend_of(lane).batches] == [1, 2, 2, 1]
    assert (early.outcome(), late.outcome()) == (after(1, 4), after(2, 2))
    assert late.timing.largest_batch == 2


def test_where_a_batch_is_full_the_next_one_joins_as_one_is_done() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 2), max_batch=2)
    xs, steps = (10, 20, 30, 40), (2, 4, 3, 1)
    for x, count in zip(xs, steps, strict=True):
        rig.scheduler.submit(lane, [counting_job(x, steps=count)])
        rig.clock.advance(0.001)
    rig.work_off()

    # Two until the first is done, then the third in its place, and so on.
    after_two = [after(10, 1), after(20, 1)]
    assert backend_of(lane).batches[:3] == [[10, 20], after_two, [after(20, 2), 30]]
    assert [len(batch) for batch in backend_of(lane).batches] == [2] * 5


def test_the_steps_of_a_batch_stay_together_beside_an_idle_worker() -> None:
    rig = Rig(workers=2)
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    blocker = rig.lane("blocker")
    rig.scheduler.submit(blocker, [counting_job(priority=Priority.HIGH)])
    other = rig.take()
    rig.scheduler.submit(lane, [counting_job(x, steps=3) for x in range(4)])
    batch = rig.take()
    assert other is not None and batch is not None
    rig.worker.work(other)
    assert len(batch.jobs) == 4
    queued_by_then: list[int] = []

    def last_to_advance(outputs: Sample, step: int) -> Sample:
        queued_by_then.append(lane.queued)
        return outputs

    batch.jobs[-1].advance = last_to_advance
    rig.worker.work(batch)

    assert queued_by_then == [0], "none is to be had before all are"
    assert lane.queued == 4


# -- admission


def test_a_request_is_admitted_whole_or_not_at_all() -> None:
    rig = Rig()
    lane = rig.lane(capacity=4)
    rig.scheduler.submit(lane, [counting_job() for _ in range(3)])
    refused = [counting_job(), counting_job()]

    with pytest.raises(QueueFullError, match="3 samples wait already, of 4 at most"):
        rig.scheduler.submit(lane, refused)

    assert lane.pending == 3
    assert [job.state for job in refused] == [State.NEW, State.NEW]
    assert rig.observer.refusals == [("lane", 2, "full")]
    rig.scheduler.submit(lane, [counting_job()])


def test_running_samples_count_against_the_bound() -> None:
    rig = Rig()
    lane = rig.lane(capacity=2)
    rig.scheduler.submit(lane, [counting_job(), counting_job()])
    rig.take()

    with pytest.raises(QueueFullError):
        rig.scheduler.submit(lane, [counting_job()])


def test_a_request_that_could_never_fit_is_too_large_and_not_busy() -> None:
    rig = Rig()
    lane = rig.lane(capacity=4)

    with pytest.raises(PayloadTooLargeError, match="5 samples in one request"):
        rig.scheduler.submit(lane, [counting_job() for _ in range(5)])

    assert rig.observer.refusals == [("lane", 5, "full")]


def test_a_full_queue_says_when_it_will_have_moved() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_by_one, measure=(1,), max_batch=1, capacity=4)
    rig.scheduler.submit(lane, [counting_job() for _ in range(4)])

    with pytest.raises(QueueFullError) as refusal:
        rig.scheduler.submit(lane, [counting_job()])

    assert refusal.value.retry_after_s == pytest.approx(4.0)


def test_a_deadline_that_cannot_be_met_is_refused_at_once_with_the_time_to_come_back() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_by_one, measure=(1, 2, 4))
    rig.scheduler.submit(lane, [counting_job() for _ in range(3)])

    with pytest.raises(BusyError, match="would take about 5000 ms, later than the 2000 ms") as busy:
        rig.scheduler.submit(lane, [counting_job(deadline=2.0)])

    assert busy.value.retry_after_s == pytest.approx(4.0 * SAFETY - 2.0)
    assert rig.observer.refusals == [("lane", 1, "deadline")]
    rig.clock.advance(busy.value.retry_after_s)
    rig.work_off()
    rig.scheduler.submit(lane, [counting_job(deadline=rig.clock() + 2.0)])


def test_where_answers_come_later_than_predicted_less_is_promised() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_by_one, measure=(1, 2, 4))
    for _ in range(50):
        rig.scheduler.submit(lane, [counting_job(deadline=rig.clock() + 10.0)])
        rig.clock.advance(1.0)  # the worker waits for a core that others use
        rig.work_off()

    assert rig.scheduler.wait_s(lane) == pytest.approx(2.0)
    with pytest.raises(BusyError, match="would take about 2500 ms"):
        rig.scheduler.submit(lane, [counting_job(deadline=rig.clock() + 2.4)])
    rig.scheduler.submit(lane, [counting_job(deadline=rig.clock() + 2.6)])


def test_who_was_overtaken_says_nothing_of_the_pace() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_by_one, measure=(1,), max_batch=1)
    patient = counting_job(deadline=1000.0, priority=Priority.LOW)
    rig.scheduler.submit(lane, [patient])
    for _ in range(5):
        rig.scheduler.submit(lane, [counting_job(deadline=100.0, priority=Priority.HIGH)])
    rig.work_off()

    assert patient.outcome() == after(0, 1)
    assert rig.clock() == pytest.approx(6.0)
    assert rig.scheduler.wait_s(lane) == pytest.approx(1.0)


def test_a_deadline_that_can_be_met_is_admitted() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(lane, [counting_job() for _ in range(3)])
    job = counting_job(deadline=1.3)

    rig.scheduler.submit(lane, [job])
    rig.work_off()

    assert job.outcome() == after(0, 1)


def test_the_tightest_deadline_and_the_longest_job_decide_for_a_request() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 8))

    with pytest.raises(BusyError):
        rig.scheduler.submit(lane, [counting_job(deadline=4.0), counting_job(steps=5)])
    rig.scheduler.submit(lane, [counting_job(deadline=7.0), counting_job(steps=5)])


def test_a_lane_that_was_never_measured_admits_its_first_jobs() -> None:
    rig = Rig()
    rig.scheduler.submit(rig.lane(), [counting_job(deadline=0.001)])


def test_a_request_of_no_samples_asks_for_nothing() -> None:
    rig = Rig()
    rig.scheduler.submit(rig.lane(), [])

    assert rig.take() is None


# -- the prediction


def seconds_until_done(rig: Rig, lane: Lane, job: Job) -> float:
    started = rig.clock()
    rig.scheduler.submit(lane, [job])
    while job.state is not State.DONE:
        assert rig.work()
    return rig.clock() - started


@pytest.mark.parametrize("waiting", [0, 1, 7, 8, 9, 20])
@pytest.mark.parametrize("seconds", [one_launch, one_by_one, lambda batch: 0.5 + 0.1 * batch])
def test_on_one_worker_the_prediction_for_one_step_is_what_happens(
    waiting: int, seconds: Callable[[int], float]
) -> None:
    rig = Rig()
    lane = rig.lane(seconds=seconds, measure=tuple(range(1, 9)))
    rig.scheduler.submit(lane, [counting_job() for _ in range(waiting)])
    predicted = rig.scheduler.wait_s(lane)

    assert predicted == pytest.approx(seconds_until_done(rig, lane, counting_job()))


@pytest.mark.parametrize("company", [0, 1, 3])
def test_the_prediction_for_many_steps_counts_those_that_share_them_once(company: int) -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(lane, [counting_job(steps=20) for _ in range(company)])

    assert rig.scheduler.wait_s(lane, steps=20) == pytest.approx(20.0)


def test_a_batch_that_is_under_way_cannot_be_joined() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(lane, [counting_job()])
    rig.take()
    assert rig.scheduler.wait_s(lane) == pytest.approx(2.0)

    rig.clock.advance(0.75)

    assert rig.scheduler.wait_s(lane) == pytest.approx(1.25)
    with pytest.raises(BusyError):
        rig.scheduler.submit(lane, [counting_job(deadline=rig.clock() + 1.2)])


def test_a_batch_that_takes_longer_than_it_should_is_not_counted_twice() -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(lane, [counting_job()])
    rig.take()
    rig.clock.advance(100.0)

    assert rig.scheduler.wait_s(lane) == pytest.approx(1.0)


def test_a_step_of_another_lane_under_way_counts_whole() -> None:
    rig = Rig()
    painter = rig.lane("paint", seconds=lambda batch: 0.25, measure=(1, 8))
    seer = rig.lane("see", seconds=lambda batch: 0.03, measure=(1, 8))
    rig.scheduler.submit(painter, [counting_job(steps=20)])
    rig.take()

    assert rig.scheduler.wait_s(seer) == pytest.approx(0.28)


def test_a_short_job_does_not_count_the_later_steps_of_other_lanes() -> None:
    rig = Rig()
    painter = rig.lane("paint", seconds=lambda batch: 0.25, measure=(1, 8))
    seer = rig.lane("see", seconds=lambda batch: 0.03, measure=(1, 8))
    rig.scheduler.submit(painter, [counting_job(steps=20)])
    predicted = rig.scheduler.wait_s(seer)

    assert predicted == pytest.approx(0.28)
    assert predicted == pytest.approx(seconds_until_done(rig, seer, counting_job()))


def test_a_long_job_counts_the_steps_of_other_lanes_that_run_between_its_own() -> None:
    rig = Rig()
    theirs = rig.lane("theirs", seconds=one_launch, measure=(1, 8))
    mine = rig.lane("mine", seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(theirs, [counting_job(steps=10)])
    predicted = rig.scheduler.wait_s(mine, steps=6)

    assert predicted == pytest.approx(12.0)
    assert predicted == pytest.approx(seconds_until_done(rig, mine, counting_job(steps=6)))


def test_an_idle_worker_takes_a_job_without_waiting_for_the_others() -> None:
    rig = Rig(workers=2)
    lane = rig.lane(seconds=one_by_one, measure=(1,), max_batch=1)
    rig.scheduler.submit(lane, [counting_job()])
    rig.take()

    assert rig.scheduler.wait_s(lane) == pytest.approx(1.0)


def test_with_every_worker_busy_a_job_waits_for_the_first_that_is_free() -> None:
    rig = Rig(workers=2)
    lane = rig.lane(seconds=one_by_one, measure=(1,), max_batch=1)
    rig.scheduler.submit(lane, [counting_job()])
    rig.take()
    rig.clock.advance(0.25)
    rig.scheduler.submit(lane, [counting_job()])
    rig.take()

    assert rig.scheduler.wait_s(lane) == pytest.approx(0.75 + 1.0)


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
    job = counting_job(on_done=told.append)
    rig.scheduler.submit(lane, [job])

    rig.scheduler.cancel(lane, job)
    rig.scheduler.cancel(lane, job)
    rig.scheduler.expire(lane, job)

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
    runs, waits = counting_job(1), counting_job(2)
    rig.scheduler.submit(lane, [runs, waits])
    batch = rig.take()
    rig.scheduler.expire(lane, runs)
    rig.scheduler.expire(lane, waits)

    assert isinstance(waits.error, DeadlineError)
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


# -- more workers than places: the others prepare what is to run next


def test_while_the_device_runs_only_what_needs_preparing_is_taken() -> None:
    rig = Rig(workers=1)
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    stepping = [counting_job(x, steps=2) for x in range(2)]
    rig.scheduler.submit(lane, stepping)
    rig.work()  # both are at their second step now, with inputs
    rig.scheduler.submit(rig.lane("other"), [counting_job()])
    running = rig.take()
    assert running is not None and running.jobs == stepping

    other = rig.take()

    assert other is not None and other.lane.name == "other"  # to be prepared meanwhile
    late = counting_job(7, steps=2)
    rig.scheduler.submit(lane, [late])
    first = rig.take()
    assert first is not None and first.jobs == [late]
    rig.worker.work(first)  # its first step; before the second it waits for its turn
    assert rig.take() is None
    rig.worker.work(other)
    rig.worker.work(running)

    rig.work_off()
    assert late.outcome() == after(7, 2)


def test_newcomers_join_those_that_wait_for_their_turn() -> None:
    rig = Rig(workers=1)
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(rig.lane("other"), [counting_job()])
    running = rig.take()
    rig.scheduler.submit(lane, [counting_job(steps=2)])
    first = rig.take()
    assert running is not None and first is not None
    rig.worker.work(first)

    rig.scheduler.submit(lane, [counting_job(), counting_job()])
    assert rig.take() is None
    rig.worker.work(running)
    rig.work_off()

    assert [len(batch) for batch in backend_of(lane).batches] == [1, 3]


def test_a_worker_that_waits_for_a_place_is_woken_when_one_is_free() -> None:
    rig = Rig(workers=1)
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(lane, [counting_job()])
    running = rig.take()
    ready = counting_job(4)
    ready.inputs = ready.prepare()
    rig.scheduler.submit(lane, [ready])
    taken: list[Batch | None] = []
    waiter = threading.Thread(target=lambda: taken.append(rig.scheduler.take()))
    waiter.start()

    assert running is not None
    rig.worker.work(running)
    waiter.join(10)

    assert [batch.jobs for batch in taken if batch] == [[ready]]
