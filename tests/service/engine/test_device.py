"""A device with real threads, most of it on ONNX Runtime: answers, cancelling, dying, draining."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pytest

from service.bundle import Bundle
from service.engine.backends.backend import Backend, DeviceLostError, OutOfMemoryError, Tensors
from service.engine.backends.onnxruntime import OnnxRuntimeBackend
from service.engine.compute import Compute
from service.engine.device import Device, device_of
from service.engine.job import Job, Priority, Sample
from service.engine.lane import Lane
from service.engine.worker import WORKER_NICE
from service.errors import (
    BusyError,
    ClientGoneError,
    DeadlineError,
    ModelRunError,
    QueueFullError,
    UnavailableError,
)
from tests.bundles import write_iterative, write_tiny_classifier
from tests.service.engine.gated import PATIENCE_S, GatedBackend
from tests.service.engine.scripted import Recorder, ScriptedBackend, after, counting_job, measured

Floats = npt.NDArray[np.float32]
T = TypeVar("T")


@contextlib.contextmanager
def started(*, workers: int = 1, observer: Recorder | None = None) -> Iterator[Device]:
    device = Device("test", workers=workers, observer=observer)
    device.start()
    try:
        yield device
    finally:
        device.stop()


def add_lane(device: Device, backend: Backend, *, name: str = "lane", capacity: int = 64) -> Lane:
    lane = Lane(name, backend, max_batch=8, capacity=capacity)
    device.scheduler.add(lane)
    return lane


def load(bundle: Bundle) -> OnnxRuntimeBackend:
    (graph,) = bundle.manifest.graphs.values()
    return OnnxRuntimeBackend(
        bundle.file(graph.file), outputs=[t.name for t in graph.outputs], cores=1
    )


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_tiny_classifier(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def iterative(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_iterative(tmp_path_factory.mktemp("models"))


def in_time(main: Awaitable[T]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(main, PATIENCE_S)

    return asyncio.run(bounded())


async def submitted() -> None:
    """Let the tasks that were just created run up to where they wait for their jobs."""
    await asyncio.sleep(0)


def classify(image: npt.NDArray[np.uint8], **of_the_job: Any) -> Job:
    return Job(
        prepare=lambda: {"image": image},
        finish=lambda outputs: outputs["probabilities"].copy(),
        **of_the_job,
    )


def iterate(state: Floats, gain: float, steps: int, **of_the_job: Any) -> Job:
    gains = np.array([gain], np.float32)

    def advance(outputs: Sample, step: int) -> Sample:
        return {"state": outputs["next_state"], "gain": gains}

    return Job(
        prepare=lambda: {"state": state, "gain": gains},
        advance=advance,
        finish=lambda outputs: outputs["next_state"].copy(),
        steps=steps,
        **of_the_job,
    )


def iterated(state: Floats, gain: float, steps: int) -> Floats:
    for _ in range(steps):
        state = state * np.float32(gain) + np.float32(1)
    return state


def random_images(count: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 32, 3), np.uint8)


# -- answers


def test_the_nearest_colour_is_answered(classifier: Bundle) -> None:
    async def main(device: Device, lane: Lane) -> list[int]:
        plain = [np.full((32, 32, 3), c, np.uint8) for c in np.eye(3, dtype=np.uint8) * 250]
        jobs = await device.run(lane, [classify(image) for image in plain])
        return [int(job.outcome().argmax()) for job in jobs]

    with started() as device:
        assert in_time(main(device, add_lane(device, load(classifier)))) == [0, 1, 2]


def test_a_sample_gets_the_same_answer_alone_and_in_a_batch(classifier: Bundle) -> None:
    images = random_images(8)
    gate = GatedBackend(load(classifier))

    async def main(device: Device, lane: Lane) -> tuple[list[Floats], list[Floats]]:
        gate.open()
        alone = []
        for image in images:
            (job,) = await device.run(lane, [classify(image)])
            assert job.timing.largest_batch == 1
            alone.append(job.outcome())
        together = await device.run(lane, [classify(image) for image in images])
        assert {job.timing.largest_batch for job in together} == {8}
        return alone, [job.outcome() for job in together]

    with started() as device:
        alone, together = in_time(main(device, add_lane(device, gate)))

    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-6)


def test_many_requests_at_once_are_each_given_their_own_answer(classifier: Bundle) -> None:
    images = random_images(200)
    backend = load(classifier)
    expected = backend.run({"image": images})["probabilities"]

    async def main(device: Device, lane: Lane) -> list[Floats]:
        batches = await asyncio.gather(*(device.run(lane, [classify(image)]) for image in images))
        return [jobs[0].outcome() for jobs in batches]

    with started(workers=3) as device:
        answers = in_time(main(device, add_lane(device, backend, capacity=200)))

    np.testing.assert_allclose(answers, expected, rtol=0, atol=1e-6)


def test_no_jobs_are_settled_at_once(classifier: Bundle) -> None:
    with started() as device:
        assert in_time(device.run(add_lane(device, load(classifier)), [])) == []


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own there")
def test_workers_give_way_to_the_event_loop(classifier: Bundle) -> None:
    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    async def main(device: Device, lane: Lane) -> int:
        job = classify(random_images(1)[0])
        job.finish = lambda outputs: priority()
        await device.run(lane, [job])
        return job.outcome()

    with started() as device:
        found = in_time(main(device, add_lane(device, load(classifier))))

    assert found == min(priority() + WORKER_NICE, 19)


def test_where_priorities_are_forbidden_workers_work_all_the_same(
    classifier: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: int) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "setpriority", forbidden, raising=False)

    async def main(device: Device, lane: Lane) -> None:
        (job,) = await device.run(lane, [classify(random_images(1)[0])])
        job.outcome()

    with started() as device:
        in_time(main(device, add_lane(device, load(classifier))))


# -- steps


def test_jobs_of_mixed_steps_share_batches_while_another_lane_runs_between_them(
    classifier: Bundle, iterative: Bundle
) -> None:
    log: list[tuple[str, int]] = []
    painter = GatedBackend(load(iterative), "step", log)
    seer = GatedBackend(load(classifier), "classify", log)
    seer.open()
    states = np.random.default_rng(2).random((3, 4), np.float32)
    recipe = [(0.5, 2), (-0.25, 4), (2.0, 7)]

    async def main(device: Device, paint: Lane, see: Lane) -> None:
        jobs = [iterate(s, gain, n) for s, (gain, n) in zip(states, recipe, strict=True)]
        painting = asyncio.create_task(device.run(paint, jobs))
        seen = []
        for _ in range(7):
            await asyncio.to_thread(painter.wait_until_entered)
            job = classify(random_images(1)[0], priority=Priority.HIGH)
            seen.append(asyncio.create_task(device.run(see, [job])))
            await submitted()
            painter.let_pass()
        await painting
        await asyncio.gather(*seen)
        for job, state, (gain, steps) in zip(jobs, states, recipe, strict=True):
            np.testing.assert_array_equal(job.outcome(), iterated(state, gain, steps))
            assert job.timing.largest_batch == 3

    with started() as device:
        lanes = [add_lane(device, painter), add_lane(device, seer, name="see")]
        in_time(main(device, *lanes))

    sizes = [3, 3, 2, 2, 1, 1, 1]
    assert log == [entry for size in sizes for entry in (("step", size), ("classify", 1))]


def test_a_job_that_joins_late_is_answered_as_if_alone(iterative: Bundle) -> None:
    gate = GatedBackend(load(iterative))
    state = np.arange(4, dtype=np.float32)

    async def main(device: Device, lane: Lane) -> None:
        early, late = iterate(state, 0.5, 5), iterate(state, -0.5, 2)
        first = asyncio.create_task(device.run(lane, [early]))
        await asyncio.to_thread(gate.wait_until_entered)
        second = asyncio.create_task(device.run(lane, [late]))
        await submitted()
        gate.open()
        await asyncio.gather(first, second)
        np.testing.assert_array_equal(early.outcome(), iterated(state, 0.5, 5))
        np.testing.assert_array_equal(late.outcome(), iterated(state, -0.5, 2))

    with started() as device:
        in_time(main(device, add_lane(device, gate)))

    assert [size for _, size in gate.log] == [1, 2, 2, 1, 1]


def test_a_worker_that_idles_goes_on_with_a_long_job_while_another_makes_an_answer() -> None:
    gate, other_gate = GatedBackend(ScriptedBackend()), GatedBackend(ScriptedBackend())
    next_step = threading.Event()

    def step_then_tell(outputs: Sample) -> bool:
        return next_step.wait(PATIENCE_S)

    async def main(device: Device, lane: Lane, other: Lane) -> None:
        jobs = [counting_job(), counting_job()]
        blocking = [asyncio.create_task(device.run(other, [job])) for job in jobs]
        for _ in blocking:
            await asyncio.to_thread(other_gate.wait_until_entered)
        long = counting_job(1, steps=2, finish=lambda outputs: next_step.set())
        short = counting_job(2, finish=step_then_tell)
        together = asyncio.create_task(device.run(lane, [long, short]))
        await submitted()
        other_gate.let_pass()  # this worker takes both, the other one idles later
        assert await asyncio.to_thread(gate.wait_until_entered) == 2
        other_gate.open()
        await asyncio.gather(*blocking)
        gate.open()
        await together
        assert short.outcome() is True

    with started(workers=2) as device:
        in_time(main(device, add_lane(device, gate), add_lane(device, other_gate, name="other")))


# -- giving up


def test_a_task_that_is_cancelled_takes_its_jobs_with_it() -> None:
    gate = GatedBackend(ScriptedBackend())
    observer = Recorder()

    async def main(device: Device, lane: Lane) -> list[Job]:
        runs, waits = [counting_job(1, steps=3)], [counting_job(2), counting_job(3)]
        running = asyncio.create_task(device.run(lane, runs))
        await asyncio.to_thread(gate.wait_until_entered)
        waiting = asyncio.create_task(device.run(lane, waits))
        await submitted()
        for task in (running, waiting):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert lane.queued == 0, "what waited is settled at once"
        gate.open()
        (after_them,) = await device.run(lane, [counting_job(4)])
        assert after_them.outcome() == after(4, 1)
        return runs + waits

    with started(observer=observer) as device:
        jobs = in_time(main(device, add_lane(device, gate)))

    assert all(isinstance(job.error, ClientGoneError) for job in jobs)
    assert sorted(observer.outcomes["lane"]) == ["answered", *["cancelled"] * 3]
    assert [size for _, size in gate.log] == [1, 1], "no step is run for a client that went away"


def test_a_deadline_is_kept_while_every_worker_is_busy() -> None:
    gate = GatedBackend(ScriptedBackend())

    async def main(device: Device, lane: Lane) -> None:
        blocking = asyncio.create_task(device.run(lane, [counting_job()]))
        await asyncio.to_thread(gate.wait_until_entered)
        now = time.monotonic()
        jobs = [counting_job(1, deadline=now + 0.02), counting_job(2, deadline=now + 0.04)]
        await device.run(lane, jobs)
        for job in jobs:
            with pytest.raises(DeadlineError):
                job.outcome()
        assert time.monotonic() < now + 5.0
        assert not blocking.done()
        gate.open()
        await blocking

    with started() as device:
        in_time(main(device, add_lane(device, gate)))


def test_each_job_of_a_request_has_its_own_deadline() -> None:
    gate, observer = GatedBackend(ScriptedBackend()), Recorder()

    async def main(device: Device, lane: Lane) -> None:
        blocking = asyncio.create_task(device.run(lane, [counting_job()]))
        await asyncio.to_thread(gate.wait_until_entered)
        hurried = counting_job(1, deadline=time.monotonic() + 0.02)
        patient = counting_job(2, deadline=time.monotonic() + 1000.0)
        waiting = asyncio.create_task(device.run(lane, [hurried, patient]))
        await asyncio.to_thread(observer.wait_until_settled)
        gate.open()
        await asyncio.gather(blocking, waiting)
        assert isinstance(hurried.error, DeadlineError)
        assert patient.outcome() == after(2, 1)

    with started(observer=observer) as device:
        in_time(main(device, add_lane(device, gate)))


def test_a_refusal_reaches_the_caller() -> None:
    gate = GatedBackend(ScriptedBackend())

    async def main(device: Device, lane: Lane) -> None:
        admitted = asyncio.create_task(device.run(lane, [counting_job(), counting_job()]))
        await asyncio.to_thread(gate.wait_until_entered)
        with pytest.raises(QueueFullError):
            await device.run(lane, [counting_job()])
        gate.open()
        await admitted

    with started() as device:
        in_time(main(device, add_lane(device, gate, capacity=2)))


def test_a_loop_that_is_closed_takes_no_worker_with_it() -> None:
    gate = GatedBackend(ScriptedBackend())

    async def leave(device: Device, lane: Lane) -> None:
        left = asyncio.create_task(device.run(lane, [counting_job(steps=2)]))
        await asyncio.to_thread(gate.wait_until_entered)
        del left  # cancelled when the loop is closed

    async def come(device: Device, lane: Lane) -> int:
        (job,) = await device.run(lane, [counting_job(5)])
        return job.outcome()

    with started() as device:
        lane = add_lane(device, gate)
        in_time(leave(device, lane))
        gate.open()
        assert in_time(come(device, lane)) == after(5, 1)
        assert device.healthy


# -- what fails


def test_a_batch_that_crashes_fails_only_for_the_one_that_crashes_it() -> None:
    gate = GatedBackend(ScriptedBackend())

    async def main(device: Device, lane: Lane) -> None:
        blocking = asyncio.create_task(device.run(lane, [counting_job()]))
        await asyncio.to_thread(gate.wait_until_entered)
        requests = [[counting_job(x)] for x in (1, -2, 3)]
        running = [asyncio.create_task(device.run(lane, jobs)) for jobs in requests]
        await submitted()
        gate.open()
        await asyncio.gather(blocking, *running)
        (one,), (bad,), (three,) = requests
        assert (one.outcome(), three.outcome()) == (after(1, 1), after(3, 1))
        assert isinstance(bad.error, ModelRunError)

    with started() as device:
        in_time(main(device, add_lane(device, gate)))

    assert [size for _, size in gate.log] == [1, 3, 1, 1, 1]


class DiesOnce(ScriptedBackend):
    """Lost at its first run; its rebuild waits for a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.faults = [DeviceLostError("fell off the bus")]
        self.rebuilding, self.may_rebuild = threading.Event(), threading.Event()

    def rebuild(self) -> None:
        self.rebuilding.set()
        assert self.may_rebuild.wait(PATIENCE_S)
        super().rebuild()


def test_a_device_that_dies_is_unready_until_it_is_rebuilt_and_answers_then() -> None:
    backend, observer = DiesOnce(), Recorder()

    async def main(device: Device, lane: Lane) -> None:
        jobs = [counting_job(x, steps=3) for x in (1, 2)]
        running = asyncio.create_task(device.run(lane, jobs))
        await asyncio.to_thread(backend.rebuilding.wait, PATIENCE_S)
        assert not device.healthy
        with pytest.raises(UnavailableError, match="the device is being rebuilt"):
            await device.run(lane, [counting_job()])
        assert not running.done()
        backend.may_rebuild.set()
        await running
        assert [job.outcome() for job in jobs] == [after(1, 3), after(2, 3)]
        assert device.healthy

    with started(workers=2, observer=observer) as device:
        in_time(main(device, add_lane(device, backend)))

    assert observer.events == ["lost: fell off the bus", "rebuilt"]


class RunsInPairs(ScriptedBackend):
    """Lost until it is rebuilt; from then on a run ends only beside another."""

    def __init__(self) -> None:
        super().__init__()
        self._pair = threading.Barrier(2, timeout=PATIENCE_S)

    def run(self, inputs: Tensors, *, alone: bool = False) -> Mapping[str, npt.NDArray[np.generic]]:
        if not self.rebuilds:
            raise DeviceLostError("gone")
        self._pair.wait()
        return super().run(inputs)


def test_every_worker_goes_on_when_the_device_is_rebuilt() -> None:
    async def main(device: Device, lane: Lane) -> None:
        jobs = await device.run(lane, [counting_job(x) for x in range(2)])
        assert [job.outcome() for job in jobs] == [after(x, 1) for x in range(2)]

    with started(workers=2) as device:
        in_time(main(device, add_lane(device, RunsInPairs())))


def test_a_deadline_is_kept_while_the_device_is_rebuilt() -> None:
    backend = DiesOnce()

    async def main(device: Device, lane: Lane) -> None:
        job = counting_job(deadline=time.monotonic() + 0.1)
        await device.run(lane, [job])
        assert isinstance(job.error, DeadlineError)
        backend.may_rebuild.set()

    with started() as device:
        in_time(main(device, add_lane(device, backend)))


# -- the end


def test_a_drain_under_load_answers_all_that_was_admitted(classifier: Bundle) -> None:
    images = random_images(100)
    device = Device("test", workers=2)
    lane = add_lane(device, load(classifier), capacity=100)
    device.start()

    async def main() -> bool:
        running = [asyncio.create_task(device.run(lane, [classify(i)])) for i in images]
        await asyncio.sleep(0)
        drained = await asyncio.to_thread(device.stop, drain_s=PATIENCE_S)
        with pytest.raises(UnavailableError, match="the server is stopping"):
            await device.run(lane, [classify(images[0])])
        for jobs in await asyncio.gather(*running):
            jobs[0].outcome()
        return drained

    assert in_time(main()) is True
    assert not device.healthy


def test_a_stop_without_patience_settles_what_waits() -> None:
    gate = GatedBackend(ScriptedBackend())
    device = Device("test", workers=1)
    lane = add_lane(device, gate)
    device.start()

    async def main() -> bool:
        jobs = [counting_job(1), counting_job(2, steps=2)]
        running = asyncio.create_task(device.run(lane, jobs[:1]))
        await asyncio.to_thread(gate.wait_until_entered)
        waiting = asyncio.create_task(device.run(lane, jobs[1:]))
        await submitted()
        stopping = asyncio.create_task(asyncio.to_thread(device.stop))
        await waiting
        with pytest.raises(UnavailableError):
            jobs[1].outcome()
        gate.open()
        await running
        assert jobs[0].outcome() == after(1, 1)
        return await stopping

    assert in_time(main()) is False


class StaysDead(ScriptedBackend):
    def __init__(self) -> None:
        super().__init__()
        self.faults = [DeviceLostError("gone")]
        self.tried = threading.Event()

    def rebuild(self) -> None:
        self.tried.set()
        raise RuntimeError("still gone")


def test_a_device_that_cannot_be_rebuilt_can_be_stopped() -> None:
    backend = StaysDead()
    device = Device("test", workers=1)
    lane = add_lane(device, backend)
    device.start()

    async def main() -> None:
        job = counting_job()
        running = asyncio.create_task(device.run(lane, [job]))
        await asyncio.to_thread(backend.tried.wait, PATIENCE_S)
        await asyncio.to_thread(device.stop)
        await running
        assert isinstance(job.error, UnavailableError)

    in_time(main())


def test_a_lane_that_is_removed_under_load_leaves_no_job_unanswered(iterative: Bundle) -> None:
    state = np.ones(4, np.float32)
    backend = load(iterative)

    async def main(device: Device, lane: Lane) -> int:
        running = [
            asyncio.create_task(device.run(lane, [iterate(state, 0.5, 3)])) for _ in range(50)
        ]
        await asyncio.sleep(0)
        await asyncio.to_thread(device.scheduler.remove, lane, timeout_s=0.0)
        backend.close()
        answered = 0
        for (job,) in await asyncio.gather(*running):
            if job.error is None:
                np.testing.assert_array_equal(job.outcome(), iterated(state, 0.5, 3))
                answered += 1
            else:
                assert isinstance(job.error, UnavailableError)
        return answered

    with started(workers=2) as device:
        in_time(main(device, add_lane(device, backend)))
        assert device.scheduler.lanes == []


def test_other_lanes_run_on_while_one_is_out_of_memory(classifier: Bundle) -> None:
    hungry = ScriptedBackend()
    hungry.faults = [OutOfMemoryError("no room")] * 2

    async def main(device: Device, poor: Lane, rich: Lane) -> None:
        jobs = [counting_job(x) for x in range(4)]
        images = [classify(image) for image in random_images(4)]
        await asyncio.gather(device.run(poor, jobs), device.run(rich, images))
        assert [job.outcome() for job in jobs] == [after(x, 1) for x in range(4)]
        assert all(job.error is None for job in images)

    with started() as device:
        in_time(
            main(device, add_lane(device, hungry), add_lane(device, load(classifier), name="r"))
        )


class Unreliable:
    """Runs, but of every hundred batches some fail, some do not fit and one loses the device."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0

    def run(self, inputs: Tensors, *, alone: bool = False) -> Tensors:
        with self._lock:
            self._runs += 1
            turn = self._runs % 100
        if turn in (7, 50):
            raise RuntimeError("now and then")
        if turn == 20 and len(inputs["x"]) > 1:
            raise OutOfMemoryError("now and then")
        if turn == 33 and self._runs < 200:
            raise DeviceLostError("now and then")
        return {"x": 3 * inputs["x"] + 1}

    def rebuild(self) -> None: ...

    def close(self) -> None: ...


class Readiness(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self.ready = threading.Event()
        self.ready.set()

    def device_lost(self, device: str, reason: str) -> None:
        self.ready.clear()

    def device_rebuilt(self, device: str) -> None:
        self.ready.set()


@pytest.mark.parametrize("workers", [2, 4])
def test_under_load_and_failures_every_job_is_settled_once(workers: int) -> None:
    observer = Readiness()
    cancelled = np.random.default_rng(workers).random(4000) < 0.2
    accepted: list[tuple[int, Job]] = []
    told: list[Job] = []
    done = threading.Semaphore(0)

    def on_done(job: Job) -> None:
        told.append(job)
        done.release()

    def submit(device: Device, lane: Lane, x: int) -> None:
        while True:
            job = counting_job(x, steps=1 + x % 4, on_done=on_done)
            if x % 11 == 0:
                job.deadline = time.monotonic() + 0.5
            try:
                device.scheduler.submit(lane, [job])
            except UnavailableError:
                assert observer.ready.wait(PATIENCE_S)
            except BusyError:
                return
            else:
                break
        accepted.append((x, job))
        if cancelled[x]:
            device.scheduler.cancel(lane, job)

    with started(workers=workers, observer=observer) as device:
        lanes = [add_lane(device, Unreliable(), name=name, capacity=4000) for name in ("a", "b")]
        clients = [
            threading.Thread(
                target=lambda first=first: [
                    submit(device, lanes[x % 2], x) for x in range(first, first + 1000)
                ]
            )
            for first in range(0, 4000, 1000)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join(PATIENCE_S)
        for _ in accepted:
            assert done.acquire(timeout=PATIENCE_S), "a job was left unresolved"
        accounts = [(lane.queued, lane.running, lane.steps_pending) for lane in lanes]

    assert accounts == [(0, 0, 0)] * 2
    assert len(accepted) > 3000
    assert len(told) == len({id(job) for job in told}) == len(accepted)
    settled = sum(len(outcomes) for outcomes in observer.outcomes.values())
    assert settled == sum(observer.admitted_jobs.values()) == len(accepted)
    answered = [(x, job) for x, job in accepted if job.error is None]
    assert len(answered) > 1500
    assert all(job.outcome() == after(x, 1 + x % 4) for x, job in answered)


# -- a device that is not the processor


def test_jobs_of_one_batch_are_prepared_and_answered_side_by_side() -> None:
    together = threading.Barrier(2, timeout=PATIENCE_S)

    def meet(x: int) -> Job:
        def prepare() -> Sample:
            together.wait()
            return {"x": np.array(x, np.int64)}

        def finish(outputs: Sample) -> int:
            together.wait()
            return int(outputs["x"])

        return counting_job(prepare=prepare, finish=finish)

    device = Device("gpu", workers=1, hosts=2)
    lane = add_lane(device, ScriptedBackend())
    lane.cost = measured(lambda batch: 1.0, 1, 2)
    device.start()
    try:

        async def main() -> None:
            jobs = [meet(1), meet(2)]
            await device.run(lane, jobs)
            assert [job.outcome() for job in jobs] == [after(1, 1), after(2, 1)]
            assert jobs[0].timing.largest_batch == 2

        in_time(main())
    finally:
        device.stop()


def test_a_gpu_has_slots_and_the_cores_beside_them() -> None:
    gpus = device_of(Compute(device="cuda", gpus=(0, 2), slots=3), cores=4)
    cpu = device_of(Compute(), cores=4)

    assert (gpus.name, gpus.workers) == ("cuda:0,2", 6)
    assert (cpu.name, cpu.workers) == ("cpu", 4)
