"""Whose turn it is, and how many run together: driven by hand, on a manual clock."""

from __future__ import annotations

import threading

import pytest

from service.engine.batch import Batch
from service.engine.job import Priority, Sample
from tests.service.engine.scripted import (
    Rig,
    after,
    backend_of,
    counting_job,
    one_by_one,
    one_launch,
)

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


@pytest.mark.parametrize(("probes", "alone"), [([True, False], True), ([True, True], False)])
def test_probes_leave_the_rest_of_an_idle_device_alone(probes: list[bool], alone: bool) -> None:
    rig = Rig()
    lane = rig.lane(seconds=one_launch, measure=(1, 8))
    rig.scheduler.submit(lane, [counting_job(probe=each) for each in probes])

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
