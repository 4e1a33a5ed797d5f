"""When memory is given back: on a real device, one look after the other."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Iterator

from service.engine.backends.backend import Backend
from service.engine.device import Device
from service.engine.lane import Lane
from service.engine.rest import Rest, resting
from tests.service.engine.gated import GatedBackend
from tests.service.engine.scripted import ScriptedBackend, counting_job

LOOKS = 20
"""As many make a quiet time, from the look that is the first to find it quiet."""


def rest_of(device: Device) -> Rest:
    return Rest(device.scheduler, quiet_s=LOOKS, look_s=1)


def given(rest: Rest, looks: int) -> int:
    """How often memory is given back in so many looks."""
    return sum(rest.look() for _ in range(looks))


@contextlib.contextmanager
def a_device(backend: Backend) -> Iterator[tuple[Device, Lane]]:
    device = Device("test", workers=1)
    lane = Lane("lane", backend, max_batch=8, capacity=8)
    device.scheduler.add(lane)
    device.start()
    try:
        yield device, lane
    finally:
        device.stop()


def test_memory_is_given_back_once_a_quiet_time() -> None:
    async def live(device: Device, lane: Lane) -> None:
        rest = rest_of(device)
        assert given(rest, 2 * LOOKS) == 0, "nothing was asked yet"
        for _ in range(2):
            await device.run(lane, [counting_job()])
            assert given(rest, LOOKS) == 0
            assert rest.look()
            assert given(rest, 2 * LOOKS) == 0

    with a_device(ScriptedBackend()) as (device, lane):
        asyncio.run(live(device, lane))


def test_while_something_runs_nothing_is_given_back() -> None:
    backend = GatedBackend(ScriptedBackend())

    async def live(device: Device, lane: Lane) -> None:
        rest = rest_of(device)
        backend.let_pass()
        await device.run(lane, [counting_job()])
        running = asyncio.create_task(device.run(lane, [counting_job()]))
        await asyncio.sleep(0)
        assert device.scheduler.pending
        assert given(rest, 3 * LOOKS) == 0
        backend.let_pass()
        await running
        assert given(rest, LOOKS) == 0
        assert given(rest, 2 * LOOKS) == 1

    with a_device(backend) as (device, lane):
        asyncio.run(live(device, lane))


def test_what_probes_take_of_a_server_at_rest_is_given_back_at_the_next_look() -> None:
    async def live(device: Device, lane: Lane) -> None:
        rest = rest_of(device)
        for _ in range(2):
            await device.run(lane, [counting_job(probe=True)])
            assert rest.look()
        await device.run(lane, [counting_job()])
        assert given(rest, LOOKS // 2) == 0
        await device.run(lane, [counting_job(probe=True)])
        assert given(rest, LOOKS // 2) == 0, "a probe ends no quiet time"
        assert rest.look(), "nor does it put it off"

    with a_device(ScriptedBackend()) as (device, lane):
        asyncio.run(live(device, lane))


def test_the_watch_gives_it_back() -> None:
    async def live(device: Device, lane: Lane) -> None:
        done = asyncio.Event()
        loop = asyncio.get_running_loop()
        give_back = functools.partial(loop.call_soon_threadsafe, done.set)
        async with resting(device, quiet_s=0, look_s=0.001, give_back=give_back):
            await device.run(lane, [counting_job()])
            await asyncio.wait_for(done.wait(), 10)

    with a_device(ScriptedBackend()) as (device, lane):
        asyncio.run(live(device, lane))
