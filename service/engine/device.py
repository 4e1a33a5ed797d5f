"""A device: one accelerator, or the cores of this machine, with its workers and its lanes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from service.engine.compute import Compute
from service.engine.forecast import Stage
from service.engine.job import Job
from service.engine.lane import Lane
from service.engine.observer import Observer, Silent
from service.engine.scheduler import Clock, Scheduler
from service.engine.worker import Worker


def _unheard() -> None:
    """The null listener."""


class Device:
    """Threads around a Scheduler, and the way in from an event loop.

    On a CPU there is one worker a core, and each decodes, runs and answers by itself; all share
    one queue and one session a graph. On GPUs a worker is a slot: as many of them as `places` run
    at a time, the others gather and copy meanwhile, and `hosts` threads decode and answer for all.
    """

    def __init__(
        self,
        name: str,
        *,
        workers: int,
        places: int | None = None,
        hosts: int = 0,
        compute: Compute | None = None,
        observer: Observer | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.name = name
        self.workers = workers
        self.compute = compute or Compute()
        self._hosts = ThreadPoolExecutor(hosts, f"{name}-host") if hosts else None
        self._clock = clock
        observer = observer or Silent()
        self.scheduler = Scheduler(
            workers=places or workers, hosts=hosts or 1, clock=clock, observer=observer
        )
        self._workers = [
            Worker(name, self.scheduler, observer, clock=clock, hosts=self._hosts)
            for _ in range(workers)
        ]
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        works = {f"worker-{index}": worker.loop for index, worker in enumerate(self._workers)}
        for name, work in {**works, "deadlines": self._watch}.items():
            thread = threading.Thread(target=work, name=f"{self.name}-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, *, drain_s: float = 0.0) -> bool:
        """Drain for so long, then settle what is left and end the threads. True if all was done."""
        drained = self.scheduler.drain(drain_s)
        self.scheduler.stop()
        for worker in self._workers:
            worker.stop()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._hosts is not None:
            self._hosts.shutdown()
        return drained

    @property
    def healthy(self) -> bool:
        return self.scheduler.healthy and all(thread.is_alive() for thread in self._threads)

    async def run(
        self,
        lane: Lane,
        jobs: Sequence[Job],
        *,
        then: Sequence[Stage] = (),
        admitted: bool = False,
        on_admitted: Callable[[], None] = _unheard,
    ) -> Sequence[Job]:
        """Submit jobs together and wait until each is settled; look at `job.outcome()` then.

        Being cancelled cancels the jobs. `then` and `admitted` are the scheduler's.
        """
        if not jobs:
            return jobs
        loop = asyncio.get_running_loop()
        everyone = loop.create_future()
        left = len(jobs)

        def settled() -> None:
            nonlocal left
            left -= 1
            if left == 0 and not everyone.done():
                everyone.set_result(None)

        def on_done(job: Job) -> None:
            loop.call_soon_threadsafe(settled)

        for job in jobs:
            job.on_done = on_done
        self.scheduler.submit(lane, jobs, then=then, admitted=admitted)
        on_admitted()
        try:
            await everyone
        except asyncio.CancelledError:
            for job in jobs:
                self.scheduler.cancel(lane, job)
            raise
        return jobs

    def _watch(self) -> None:
        """Whoever waits hears at the deadline that it has come, not when it would be picked."""
        while self.scheduler.await_deadline():
            self.scheduler.expire()


def device_of(compute: Compute, *, cores: int, observer: Observer | None = None) -> Device:
    """Workers as the device wants them: one a core, or so many slots a GPU beside the cores."""
    if not compute.on_gpu:
        return Device(compute.name, workers=cores, compute=compute, observer=observer)
    places = len(compute.gpus)
    return Device(
        compute.name,
        workers=compute.slots * places,
        places=places,
        hosts=cores,
        compute=compute,
        observer=observer,
    )
