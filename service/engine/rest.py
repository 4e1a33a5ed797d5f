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
    """Watches the device in the background inside, and gives memory back while it is at rest."""
    rest = Rest(device.scheduler, quiet_s=quiet_s, look_s=look_s)
    watch = asyncio.create_task(_watch(rest, look_s, give_back))
    try:
        yield
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


class Rest:
    """Whether memory is to be given back: from the start until somebody asks, and again after each
    quiet time, whenever something ran since it was."""

    def __init__(self, scheduler: Scheduler, *, quiet_s: float, look_s: float) -> None:
        self._scheduler = scheduler
        self._quiet_s, self._look_s = quiet_s, look_s
        self._asked, self._given_back = scheduler.asked, scheduler.settled
        self._quiet_for_s = quiet_s

    def look(self) -> bool:
        """Whether to give it back now, `look_s` after the last look."""
        asked, settled = self._scheduler.asked, self._scheduler.settled
        self._quiet_for_s = self._quiet_for_s + self._look_s if asked == self._asked else 0.0
        self._asked = asked
        quiet = self._quiet_for_s >= self._quiet_s and not self._scheduler.pending
        if not quiet or settled == self._given_back:
            return False
        self._given_back = settled
        return True


async def _watch(rest: Rest, look_s: float, give_back: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(look_s)
        if rest.look():
            await asyncio.to_thread(give_back)
