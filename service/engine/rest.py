"""Memory that goes back to the system while nobody asks for anything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from service.engine.backends import arena
from service.engine.device import Device
from service.engine.scheduler import Scheduler

QUIET_S: Final = 60.0
"""A server that nobody has asked for so long keeps only its models. Sooner, and those who ask now
and then would wait for the pages of every run."""
LOOK_S: Final = 5.0
"""What probes take of a server at rest is given back so soon."""


@contextlib.asynccontextmanager
async def resting(
    device: Device,
    *,
    quiet_s: float = QUIET_S,
    look_s: float = LOOK_S,
    give_back: Callable[[], None] = arena.give_back,
) -> AsyncIterator[None]:
    """Watches the device in the background inside, and gives memory back while it is at rest: from
    the start until somebody asks, and again after each quiet time."""
    watch = asyncio.create_task(_watch(device.scheduler, quiet_s, look_s, give_back))
    try:
        yield
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def _watch(
    scheduler: Scheduler, quiet_s: float, look_s: float, give_back: Callable[[], None]
) -> None:
    asked, quiet_for_s, given_back = scheduler.asked, quiet_s, scheduler.settled
    while True:
        await asyncio.sleep(look_s)
        quiet_for_s = quiet_for_s + look_s if scheduler.asked == asked else 0.0
        asked, settled = scheduler.asked, scheduler.settled
        if quiet_for_s >= quiet_s and settled != given_back and not scheduler.pending:
            await asyncio.to_thread(give_back)
            given_back = settled
