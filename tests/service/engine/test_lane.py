"""The order of a lane: deadlines, patience, age; and what it forgets."""

from __future__ import annotations

import gc
import math
import random
import weakref

import numpy as np
import pytest

from service.engine.job import PATIENCE_S, Job, Priority
from service.engine.lane import Lane
from tests.service.engine.scripted import ScriptedBackend, counting_job, measured


def lane_of(*, step_s: float = 0.0) -> Lane:
    cost = measured(lambda batch: step_s * batch, 1)
    return Lane("lane", ScriptedBackend(), max_batch=8, capacity=1000, cost=cost)


def push(lane: Lane, job: Job, now: float) -> Job:
    lane.admit(job, now)
    lane.push(job, now)
    return job


def drain(lane: Lane, now: float = 0.0) -> list[Job]:
    jobs = []
    while (job := lane.pop(now)) is not None:
        jobs.append(job)
    return jobs


def test_jobs_of_one_kind_go_in_the_order_in_which_they_came() -> None:
    lane = lane_of()
    jobs = [push(lane, counting_job(), now=0.0) for _ in range(5)]

    assert drain(lane) == jobs


def test_the_earliest_deadline_goes_first() -> None:
    lane = lane_of()
    deadlines = [0.05, 0.03, 0.04, 0.01, 0.02]
    for deadline in deadlines:
        push(lane, counting_job(deadline=deadline), now=0.0)

    assert [job.deadline for job in drain(lane)] == sorted(deadlines)


def test_of_two_with_one_deadline_the_one_with_more_steps_goes_first() -> None:
    lane = lane_of(step_s=0.1)
    short = push(lane, counting_job(steps=1, deadline=0.9), now=0.0)
    long = push(lane, counting_job(steps=8, deadline=0.9), now=0.0)

    assert drain(lane) == [long, short]


def test_a_higher_priority_goes_first() -> None:
    lane = lane_of()
    low, normal, high = (
        push(lane, counting_job(priority=p), now=0.0)
        for p in (Priority.LOW, Priority.NORMAL, Priority.HIGH)
    )

    assert drain(lane) == [high, normal, low]


def test_a_low_job_is_served_in_bounded_time_however_many_high_ones_come() -> None:
    lane = lane_of()
    low = push(lane, counting_job(priority=Priority.LOW), now=0.0)
    now = 0.0
    while True:
        push(lane, counting_job(priority=Priority.HIGH), now)
        if lane.pop(now) is low:
            break
        now += 0.01
        assert now <= PATIENCE_S[Priority.LOW] + 0.01

    assert now == pytest.approx(PATIENCE_S[Priority.LOW] - PATIENCE_S[Priority.HIGH], abs=0.02)


def test_a_job_that_is_pushed_again_ages_anew() -> None:
    steps, single = lane_of(), lane_of()
    job = push(steps, counting_job(steps=20), now=0.0)
    other = push(single, counting_job(), now=0.5)
    assert steps.pop(0.6) is job
    steps.running -= 1
    steps.push(job, 0.6)

    assert steps.urgency() == pytest.approx(1.6)
    assert single.urgency() == pytest.approx(1.5)
    assert single.pop(0.6) is other


def test_who_came_first_keeps_its_turn_from_step_to_step() -> None:
    lane = lane_of()
    early = push(lane, counting_job(steps=3), now=0.0)
    late = push(lane, counting_job(steps=3), now=0.1)
    for now in (0.2, 0.4):
        assert lane.pop(now) is early
        lane.running -= 1
        lane.push(early, now + 0.1)

    assert drain(lane) == [early, late]


def test_a_deadline_that_is_near_goes_before_who_came_first() -> None:
    lane = lane_of(step_s=0.1)
    early = push(lane, counting_job(steps=3), now=0.0)
    hurried = push(lane, counting_job(steps=3, deadline=0.9), now=0.1)

    assert drain(lane) == [hurried, early]


def test_the_time_in_the_queue_adds_up_over_steps() -> None:
    lane = lane_of()
    job = push(lane, counting_job(steps=2), now=1.0)
    lane.pop(1.5)
    lane.running -= 1
    lane.push(job, 2.0)
    lane.pop(4.0)

    assert job.timing.queue_s == pytest.approx(0.5 + 2.0)


def test_a_job_that_is_given_up_in_the_queue_has_waited_all_the_same() -> None:
    lane = lane_of()
    job = push(lane, counting_job(), now=1.0)
    lane.forget(job, 3.0)

    assert job.timing.queue_s == pytest.approx(2.0)


def test_a_forgotten_job_is_passed_over() -> None:
    lane = lane_of()
    first, second = (push(lane, counting_job(), now=0.0) for _ in range(2))
    lane.forget(first, 0.0)

    assert lane.waiting() == [second]
    assert drain(lane) == [second]
    assert (lane.queued, lane.running, lane.steps_pending) == (0, 1, 1)


def test_a_forgotten_job_lets_go_of_what_the_request_sent() -> None:
    lane = lane_of()
    push(lane, counting_job(), now=0.0)  # more urgent: what comes after stays in the heap
    sent = np.zeros(1000)
    gone = weakref.ref(sent)
    job = push(lane, Job(prepare=lambda sent=sent: {"x": sent}, finish=id), now=0.0)
    job.inputs = job.prepare()
    lane.forget(job, 0.0)
    del sent
    gc.collect()

    assert gone() is None


def test_forgotten_jobs_do_not_pile_up() -> None:
    lane = lane_of()
    keeper = push(lane, counting_job(deadline=0.0), now=0.0)
    forgotten = []
    for _ in range(1000):

        def held_by_the_job(job: Job) -> None: ...

        forgotten.append(weakref.ref(held_by_the_job))
        lane.forget(push(lane, counting_job(on_done=held_by_the_job), now=0.0), 0.0)
    del held_by_the_job
    gc.collect()

    assert sum(ref() is not None for ref in forgotten) < 100
    assert drain(lane) == [keeper]


def test_the_order_holds_when_jobs_are_forgotten_at_random() -> None:
    lane, chance = lane_of(), random.Random(0)
    jobs = [push(lane, counting_job(deadline=chance.random()), now=0.0) for _ in range(500)]
    kept = [job for job in jobs if chance.random() < 0.2 or lane.forget(job, 0.0)]

    assert drain(lane) == sorted(kept, key=lambda job: job.deadline)


def test_work_is_counted_in_batches_as_they_pay() -> None:
    lane = lane_of()
    lane.cost = measured(lambda batch: 1.0, 1, 8)  # eight cost as much as one

    assert lane.work_s(steps=0, jobs=0) == 0.0
    assert lane.work_s(steps=1, jobs=1) == pytest.approx(1.0)
    assert lane.work_s(steps=8, jobs=8) == pytest.approx(1.0)
    assert lane.work_s(steps=9, jobs=9) == pytest.approx(2.0)
    assert lane.work_s(steps=40, jobs=2) == pytest.approx(20.0), "two jobs share a step, not eight"


@pytest.mark.parametrize(("max_batch", "capacity"), [(0, 8), (8, 0)])
def test_a_lane_without_room_is_refused(max_batch: int, capacity: int) -> None:
    with pytest.raises(ValueError, match=f"max_batch {max_batch}, capacity {capacity}"):
        Lane("lane", ScriptedBackend(), max_batch=max_batch, capacity=capacity)


def test_a_job_of_no_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="0 steps"):
        counting_job(steps=0)


def test_a_deadline_is_optional() -> None:
    assert counting_job().deadline == math.inf
