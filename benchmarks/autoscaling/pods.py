"""Pods as queues: each with workers that take the oldest sample, and arrivals shared at random."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field


@dataclass
class Pod:
    """`free_s` says when each worker is done with what it has been given so far."""

    free_s: list[float]
    given: deque[tuple[float, float]] = field(default_factory=deque)
    """Start and end of the samples that had not ended when last looked at."""

    def take(self, arrived_s: float, takes_s: float, patience_s: float) -> float | None:
        """When a sample that arrives now would be answered; None if that is too late to admit."""
        worker = min(range(len(self.free_s)), key=self.free_s.__getitem__)
        start_s = max(self.free_s[worker], arrived_s)
        end_s = start_s + takes_s
        if end_s - arrived_s > patience_s:
            return None
        self.free_s[worker] = end_s
        self.given.append((start_s, end_s))
        return end_s

    def look(self, now_s: float) -> tuple[int, int]:
        """Samples that run and that wait, as a scrape sees them."""
        self.given = deque(item for item in self.given if item[1] > now_s)
        running = sum(start <= now_s for start, _ in self.given)
        return running, len(self.given) - running


class Fleet:
    """The pods that are ready, and those that will be."""

    def __init__(self, pods: int, *, workers: int, start_s: float, rng: random.Random) -> None:
        self._workers = workers
        self._start_s = start_s
        self._rng = rng
        self.ready = [self._new(0.0) for _ in range(pods)]
        self._coming: list[float] = []

    def _new(self, now_s: float) -> Pod:
        return Pod([now_s] * self._workers)

    def resize(self, now_s: float, pods: int) -> None:
        """Ask for more, or let some go: they finish what they have, and get nothing new."""
        while len(self.ready) + len(self._coming) > pods:
            if self._coming:
                self._coming.pop()
            else:
                self.ready.pop()
        while len(self.ready) + len(self._coming) < pods:
            self._coming.append(now_s + self._start_s)

    def arrive(self, now_s: float) -> None:
        """Pods that have started by now take part."""
        self.ready += [self._new(s) for s in self._coming if s <= now_s]
        self._coming = [s for s in self._coming if s > now_s]

    def pick(self) -> Pod:
        return self.ready[int(self._rng.random() * len(self.ready))]

    @property
    def size(self) -> int:
        """All that are paid for."""
        return len(self.ready) + len(self._coming)
