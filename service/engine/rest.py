"""Memory that goes back to the system when nobody has asked for anything for a while."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

from service.engine.backends import arena
from service.engine.device import Device

QUIET_S: Final = 5.0
"""After so long, or up to twice as long, a server that is asked nothing keeps its models alone.
Sooner, and those who ask now and then would wait for the pages of every run."""


@contextlib.asynccontextmanager
async def resting(
    device: Device, *, quiet_s: float = QUIET_S, give_back: Callable[[], None] = arena.give_back
) -> AsyncIterator[None]:
    """Watches the device in the background inside; once a quiet time memory is given back."""
    watch = asyncio.create_task(_watch(device, quiet_s, give_back))
    try:
        yield
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def _watch(device: Device, quiet_s: float, give_back: Callable[[], None]) -> None:
    seen = rested = device.scheduler.settled
    while True:
        await asyncio.sleep(quiet_s)
        settled = device.scheduler.settled
        if settled == seen != rested and not device.scheduler.pending:
            await asyncio.to_thread(give_back)
            rested = settled
        seen = settled
