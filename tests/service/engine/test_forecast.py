"""When jobs would be done: one after another, beside others, and over several lanes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from service.engine.forecast import Stage
from service.engine.job import Job, Priority, State
from service.engine.lane import Lane
from service.errors import (
    BusyError,
    PayloadTooLargeError,
    QueueFullError,
    UnavailableError,
)
from tests.service.engine.scripted import (
    Rig,
    counting_job,
    one_by_one,
    one_launch,
)

# -- one lane after another


class Studio:
    """A rig with the three lanes of a painter and one of a seer."""

    def __init__(self, **painting: int) -> None:
        self.rig = Rig()
        self.text = self._lane("text", 0.1)
        self.step = self._lane("step", 0.25, **painting)
        self.decode = self._lane("decode", 0.5)
        self.see = self._lane("see", 0.03)

    def _lane(self, name: str, seconds: float, capacity: int = 64) -> Lane:
        return self.rig.lane(name, seconds=lambda batch: seconds, measure=(1, 8), capacity=capacity)

    def then(self, steps: int, images: int = 1) -> tuple[Stage, Stage]:
        return Stage(self.step, images, steps), Stage(self.decode, images)

    def submit_painting(self, steps: int, **of_the_jobs: object) -> list[Job]:
        """The whole course of one image, each job being submitted when the one before is done."""
        made: list[Job] = []
        course = [(self.text, 1), (self.step, steps), (self.decode, 1)]

        def go_on(_: object = None) -> None:
            if not course:
                return
            lane, count = course.pop(0)
            job = counting_job(steps=count, on_done=go_on, **of_the_jobs)
            made.append(job)
            then = [Stage(lane, 1, count) for lane, count in course]
            self.rig.scheduler.submit(lane, [job], then=then, admitted=lane is self.decode)

        go_on()
        return made


def low(steps: int = 1) -> Job:
    return counting_job(steps=steps, priority=Priority.LOW)


def seconds_until_seen(studio: Studio) -> float:
    job = counting_job()
    started = studio.rig.clock()
    studio.rig.scheduler.submit(studio.see, [job])
    while job.state is not State.DONE:
        assert studio.rig.work()
    return studio.rig.clock() - started


@pytest.mark.parametrize("steps", [1, 20])
def test_the_whole_course_is_foreseen(steps: int) -> None:
    studio = Studio()
    predicted = studio.rig.scheduler.wait_s(studio.text, then=studio.then(steps))
    jobs = studio.submit_painting(steps)
    studio.rig.work_off()

    assert predicted == pytest.approx(0.1 + 0.25 * steps + 0.5)
    assert [job.state for job in jobs] == [State.DONE] * 3
    assert studio.rig.clock() == pytest.approx(predicted)


def test_what_waits_on_every_lane_of_the_course_counts() -> None:
    studio = Studio()
    studio.rig.scheduler.submit(studio.decode, [low()])
    studio.rig.scheduler.submit(studio.step, [low(steps=10)])
    predicted = studio.rig.scheduler.wait_s(studio.text, then=studio.then(10))

    # The steps of the two are shared, and so is the run of the decoder.
    assert predicted == pytest.approx(0.1 + 10 * 0.25 + 0.5)


def test_a_deadline_for_the_text_that_the_steps_cannot_meet_is_refused_at_once() -> None:
    studio = Studio()
    whole = 0.1 + 20 * 0.25 + 0.5
    job = counting_job(deadline=whole * 1.24)
    with pytest.raises(BusyError) as refused:
        studio.rig.scheduler.submit(studio.text, [job], then=studio.then(20))

    assert refused.value.retry_after_s == pytest.approx(whole * 0.01)
    assert studio.rig.observer.refusals == [("text", 1, "deadline")]
    studio.rig.scheduler.submit(
        studio.text, [counting_job(deadline=whole * 1.26)], then=studio.then(20)
    )


def test_room_is_asked_for_on_every_lane_of_the_course() -> None:
    studio = Studio(capacity=4)
    studio.rig.scheduler.submit(studio.step, [low(steps=3) for _ in range(3)])
    with pytest.raises(QueueFullError):
        studio.rig.scheduler.submit(studio.text, [low()], then=studio.then(3, images=2))
    with pytest.raises(PayloadTooLargeError):
        studio.rig.scheduler.submit(studio.text, [low()], then=studio.then(3, images=5))

    assert studio.text.pending == 0
    studio.rig.scheduler.submit(studio.text, [low()], then=studio.then(3, images=1))


def test_what_was_promised_finds_a_full_and_a_draining_device_open() -> None:
    studio = Studio(capacity=1)
    studio.rig.scheduler.submit(studio.step, [low()])
    studio.rig.scheduler.lose(studio.see, [], "a cosmic ray")
    studio.rig.scheduler.drain(timeout_s=0.0)
    with pytest.raises(UnavailableError):
        studio.rig.scheduler.submit(studio.step, [low()])
    studio.rig.scheduler.submit(studio.step, [job := low()], admitted=True)
    studio.rig.scheduler.recover()
    studio.rig.work_off()

    assert job.state is State.DONE and job.error is None


def test_what_was_promised_ends_with_the_device() -> None:
    studio = Studio()
    studio.rig.scheduler.stop()
    with pytest.raises(UnavailableError):
        studio.rig.scheduler.submit(studio.decode, [low()], admitted=True)

    assert studio.rig.observer.refusals == [("decode", 1, "unavailable")]


def test_of_two_with_one_deadline_the_one_with_more_to_follow_goes_first() -> None:
    studio = Studio()
    short, long = counting_job(1, deadline=6.0), counting_job(2, deadline=6.0)
    studio.rig.scheduler.submit(studio.see, [short])
    studio.rig.scheduler.submit(studio.text, [long], then=studio.then(16))

    taken = studio.rig.take()
    assert taken is not None and taken.jobs == [long]


def test_the_patient_let_others_pass_and_are_not_foreseen_to_be_in_the_way() -> None:
    studio = Studio()
    studio.rig.scheduler.submit(studio.step, [low(steps=20) for _ in range(24)])
    predicted = studio.rig.scheduler.wait_s(studio.see)

    assert predicted == pytest.approx(0.03)
    assert seconds_until_seen(studio) == pytest.approx(predicted)


def test_a_step_of_the_patient_that_is_under_way_is_waited_for() -> None:
    studio = Studio()
    studio.rig.scheduler.submit(studio.step, [low(steps=20)])
    studio.rig.take()

    assert studio.rig.scheduler.wait_s(studio.see) == pytest.approx(0.25 + 0.03)


def test_the_patient_foresee_that_the_others_pass_at_every_step() -> None:
    studio = Studio()
    studio.rig.scheduler.submit(studio.see, [counting_job() for _ in range(8)])
    predicted = studio.rig.scheduler.wait_s(studio.text, then=studio.then(4), priority=Priority.LOW)

    assert predicted == pytest.approx(0.03 + 0.1 + 4 * 0.25 + 0.5)


# -- one lane


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
    studio = Studio()
    rig = studio.rig
    rig.scheduler.submit(studio.step, [counting_job(steps=20)])
    rig.take()

    assert rig.scheduler.wait_s(studio.see) == pytest.approx(0.28)


def test_a_short_job_does_not_count_the_later_steps_of_other_lanes() -> None:
    studio = Studio()
    rig = studio.rig
    rig.scheduler.submit(studio.step, [counting_job(steps=20)])
    predicted = rig.scheduler.wait_s(studio.see)

    assert predicted == pytest.approx(0.28)
    assert predicted == pytest.approx(seconds_until_done(rig, studio.see, counting_job()))


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
