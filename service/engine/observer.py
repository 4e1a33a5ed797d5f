"""What the engine tells about itself; telemetry listens."""

from __future__ import annotations

from typing import Protocol

from service.engine.job import Job


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
