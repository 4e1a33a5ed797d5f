"""What the engine tells about itself; telemetry listens."""

from __future__ import annotations

from typing import Protocol

from service.engine.job import Job
from service.errors import (
    BusyError,
    ClientGoneError,
    DeadlineError,
    PanoptesError,
    PayloadTooLargeError,
    QueueFullError,
    RequestError,
)


class Observer(Protocol):
    """Called under the device's lock or on a worker's thread: must be quick, must not raise.

    `lane` is the name of the lane.
    """

    def admitted(self, lane: str, jobs: int) -> None: ...
    def refused(self, lane: str, jobs: int, reason: str) -> None:
        """`reason` is one of full, deadline, unavailable."""

    def settled(self, lane: str, job: Job, outcome: str) -> None:
        """`outcome` is one of answered, rejected, expired, cancelled, failed."""

    def batch_ran(self, lane: str, size: int, seconds: float) -> None: ...
    def device_lost(self, device: str, reason: str) -> None: ...
    def device_rebuilt(self, device: str) -> None: ...


class Silent:
    """The null observer."""

    def admitted(self, lane: str, jobs: int) -> None: ...
    def refused(self, lane: str, jobs: int, reason: str) -> None: ...
    def settled(self, lane: str, job: Job, outcome: str) -> None: ...
    def batch_ran(self, lane: str, size: int, seconds: float) -> None: ...
    def device_lost(self, device: str, reason: str) -> None: ...
    def device_rebuilt(self, device: str) -> None: ...


def refusal_of(error: PanoptesError) -> str:
    """The reason of `refused`."""
    match error:
        case QueueFullError() | PayloadTooLargeError():
            return "full"
        case BusyError():
            return "deadline"
        case _:
            return "unavailable"


def outcome_of(error: Exception | None) -> str:
    """The outcome of `settled`."""
    match error:
        case None:
            return "answered"
        case RequestError():
            return "rejected"
        case DeadlineError():
            return "expired"
        case ClientGoneError():
            return "cancelled"
        case _:
            return "failed"
