"""What every protocol needs to answer: the models, the limits, and whom to tell."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from starlette.types import Scope

from service.access import Guard
from service.access.fetch import Fetcher
from service.engine.device import Device
from service.engine.forecast import Stage
from service.engine.job import Job, Priority
from service.engine.lane import Lane
from service.engine.model import Model
from service.errors import ClientGoneError, ForbiddenError, InvalidOptionError
from service.imaging import ImageLimits
from service.protocols.departure import IfGone
from service.registry import Registry
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.telemetry.traces import Tracer
from service.text import TextCache

T = TypeVar("T")

PRIORITIES = {priority.name.lower(): priority for priority in Priority}
MAX_DEADLINE_MS = 3_600_000


class Terms(NamedTuple):
    """When the answer to a request is due on the monotonic clock, and how urgent it is."""

    deadline: float
    priority: Priority


@dataclass
class Serving:
    settings: Settings
    device: Device
    registry: Registry
    metrics: Metrics
    tracer: Tracer
    guard: Guard
    draining: bool = False
    admin_port: int | None = None
    """Where alone admin calls are answered, once that port is open."""
    limits: ImageLimits = field(init=False)
    texts: TextCache = field(init=False)
    fetcher: Fetcher = field(init=False)

    def __post_init__(self) -> None:
        self.limits = ImageLimits(
            max_bytes=self.settings.max_image_bytes, max_pixels=self.settings.max_image_pixels
        )
        self.texts = TextCache(self.settings.text_cache_bytes)
        self.fetcher = Fetcher(
            self.settings.image_hosts,
            max_bytes=self.settings.max_image_bytes,
            timeout_s=self.settings.image_fetch_s,
        )

    def terms(
        self,
        model: Model,
        arrived: float,
        headers: Mapping[bytes, bytes],
        *,
        usual: Priority = Priority.NORMAL,
        usual_ms: int | None = None,
    ) -> Terms:
        """As the request says; else the deadline is the bundle's, and priority and deadline the
        `usual` ones of its kind."""
        default = usual_ms or self.settings.deadline_ms
        default = int(model.bundle.manifest.defaults.get("deadline_ms", default))
        deadline = deadline_of(arrived, headers.get(b"x-deadline-ms"), default)
        return Terms(deadline, self.priority(headers, usual))

    def priority(
        self, headers: Mapping[bytes, bytes], usual: Priority = Priority.NORMAL
    ) -> Priority:
        """Of `X-Priority`. ForbiddenError where `high` is kept from callers."""
        if (header := headers.get(b"x-priority")) is None:
            return usual
        priority = PRIORITIES.get(header.decode("latin-1").strip().lower())
        if priority is None:
            raise InvalidOptionError(f"X-Priority: one of {', '.join(PRIORITIES)}")
        if priority is Priority.HIGH and not self.settings.allow_high_priority:
            raise ForbiddenError("X-Priority: this server gives no request high priority")
        return priority


def deadline_of(arrived: float, header: bytes | None, default_ms: int) -> float:
    """When the answer is due on the monotonic clock, of `X-Deadline-Ms` or the default."""
    if header is None:
        return arrived + default_ms / 1e3
    if not header.isdigit() or not 0 < int(header) <= MAX_DEADLINE_MS:
        raise InvalidOptionError(
            f"X-Deadline-Ms: a whole number of milliseconds from 1 to {MAX_DEADLINE_MS}"
        )
    return arrived + int(header) / 1e3


async def run_while_connected(
    device: Device,
    lane: Lane,
    jobs: Sequence[Job],
    scope: Scope,
    *,
    then: Sequence[Stage] = (),
    admitted: bool = False,
) -> None:
    """Run the jobs; a client that goes away takes with it those that have not run.

    `then` and `admitted` are the scheduler's.
    """

    def give_up() -> None:
        for job in jobs:
            device.scheduler.cancel(lane, job)

    with IfGone(scope, give_up):
        await device.run(lane, jobs, then=then, admitted=admitted)


async def while_connected(work: Coroutine[Any, Any, T], scope: Scope) -> T:
    """What the work returns or raises; a client that goes away cancels it."""
    going = asyncio.ensure_future(work)
    try:
        with IfGone(scope, going.cancel):
            await asyncio.wait([going])
    finally:
        going.cancel()
    if going.cancelled():
        raise ClientGoneError("the client went away")
    return going.result()
