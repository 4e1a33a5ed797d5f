"""When memory is given back: on a real device, with a watch of milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from service.engine.backends.backend import Backend
from service.engine.device import Device
from service.engine.lane import Lane
from service.engine.rest import resting
from tests.service.engine.gated import GatedBackend
from tests.service.engine.scripted import ScriptedBackend, counting_job

LOOK_S = 0.01
QUIET_S = 20 * LOOK_S
LONG = 40


async def pass_time(looks: int = LONG) -> None:
    for _ in range(looks):
        await asyncio.sleep(LOOK_S)


def at_rest(device: Device, given: list[None]) -> contextlib.AbstractAsyncContextManager[None]:
    return resting(device, quiet_s=QUIET_S, look_s=LOOK_S, give_back=lambda: given.append(None))


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
    given: list[None] = []
    counts = []

    async def live(device: Device, lane: Lane) -> None:
        async with at_rest(device, given):
            await pass_time()
            counts.append(len(given))  # nothing was asked yet
            for _ in range(2):
                await device.run(lane, [counting_job()])
                await pass_time()
                counts.append(len(given))

    with a_device(ScriptedBackend()) as (device, lane):
        asyncio.run(live(device, lane))
    assert counts == [0, 1, 2]


def test_while_something_runs_nothing_is_given_back() -> None:
    backend = GatedBackend(ScriptedBackend())
    given: list[None] = []

    async def live(device: Device, lane: Lane) -> None:
        async with at_rest(device, given):
            backend.let_pass()
            await device.run(lane, [counting_job()])
            running = asyncio.create_task(device.run(lane, [counting_job()]))
            await pass_time()
            assert not given
            backend.let_pass()
            await running
            await pass_time()
            assert len(given) == 1

    with a_device(backend) as (device, lane):
        asyncio.run(live(device, lane))


def test_what_probes_take_of_a_server_at_rest_is_given_back_at_the_next_look() -> None:
    given: list[None] = []
    counts = []

    async def live(device: Device, lane: Lane) -> None:
        async with at_rest(device, given):
            for job in (counting_job(probe=True), counting_job(), counting_job(probe=True)):
                await device.run(lane, [job])
                await pass_time(6)
                counts.append(len(given))
            await pass_time()
            counts.append(len(given))

    with a_device(ScriptedBackend()) as (device, lane):
        asyncio.run(live(device, lane))
    assert counts == [1, 1, 1, 2], "probes put no rest off, nor do they end one"
