"""A batch, and those of a device that are under way."""

from __future__ import annotations

from dataclasses import dataclass

from service.engine.job import Job
from service.engine.lane import Lane


@dataclass(frozen=True, eq=False)
class Batch:
    lane: Lane
    jobs: list[Job]
    alone: bool
    """Nothing else runs or waits: the batch may have the whole device."""


class UnderWay:
    """The batches that workers have in hand. Under the device's lock."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._ends: dict[Batch, float] = {}
        self._answering: set[Batch] = set()

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, batch: Batch, ends: float) -> None:
        """A worker took it, and should be done with it then."""
        self._ends[batch] = ends

    def ran(self, batch: Batch) -> None:
        """Its place is free for another; only its answers are still to be made."""
        self._answering.add(batch)

    def remove(self, batch: Batch) -> None:
        del self._ends[batch]
        self._answering.discard(batch)

    @property
    def full(self) -> bool:
        """No other batch could run now."""
        return len(self._ends) - len(self._answering) >= self._places

    def left_s(self, now: float) -> list[float]:
        """Seconds until each should be done."""
        return [max(end - now, 0.0) for end in self._ends.values()]
