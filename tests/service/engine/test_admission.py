"""Which requests may queue, and what the others hear."""

from __future__ import annotations

import random

import pytest

from service.engine.admission import PREDICT_EVERY, SAFETY
from service.engine.job import Priority, State
from service.errors import (
    BusyError,
    PayloadTooLargeError,
    QueueFullError,
)
from tests.service.engine.scripted import (
    Rig,
    after,
    counting_job,
    one_by_one,
    one_launch,
)


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
    for _ in range(50 * PREDICT_EVERY):
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


@pytest.mark.parametrize("seed", range(20))
def test_nobody_is_admitted_unpredicted_who_would_be_late(seed: int) -> None:
    """Most are let in because there is plenty of time: that must be true."""
    rng = random.Random(seed)
    rig = Rig(workers=rng.randint(1, 3))
    costs = [one_by_one, one_launch, lambda batch: 1.0 + 0.3 * batch]
    lanes = [
        rig.lane(f"lane {i}", seconds=cost, measure=(1, 2, 4, 8)) for i, cost in enumerate(costs)
    ]
    for _ in range(rng.randint(1, 12)):
        jobs = [counting_job(steps=rng.randint(1, 3)) for _ in range(rng.randint(1, 4))]
        rig.scheduler.submit(rng.choice(lanes), jobs)
        if rng.random() < 0.3:
            rig.take()
    lane = rng.choice(lanes)
    needed_s = rig.scheduler.wait_s(lane) * SAFETY

    for _ in range(PREDICT_EVERY + 1):
        with pytest.raises(BusyError):
            rig.scheduler.submit(lane, [counting_job(deadline=rig.clock() + 0.999 * needed_s)])
    rig.scheduler.submit(lane, [counting_job(deadline=rig.clock() + 1.001 * needed_s)])
