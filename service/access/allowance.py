"""How much one key may ask for: a bucket of requests that refills, and places at once."""

from __future__ import annotations

import threading
from collections.abc import Callable

from service.errors import BusyError

RETRY_SOON_S = 1.0
"""When a request under way may have ended: nobody can say."""


class Allowance:
    """Of one key. Thread-safe: a request may end anywhere."""

    def __init__(
        self, per_minute: int | None, at_once: int | None, clock: Callable[[], float]
    ) -> None:
        self._per_minute = per_minute
        self._at_once = at_once
        self._clock = clock
        self._left = float(per_minute or 0)
        self._counted_at = clock()
        self._under_way = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count a request in; BusyError if there are too many."""
        with self._lock:
            if self._at_once is not None and self._under_way >= self._at_once:
                raise BusyError(
                    f"this key has {self._under_way} requests under way, as many as it may",
                    retry_after_s=RETRY_SOON_S,
                )
            if self._per_minute is not None:
                self._refill(self._per_minute)
                if self._left < 1:
                    raise BusyError(
                        f"this key may make {self._per_minute} requests a minute",
                        retry_after_s=(1 - self._left) * 60 / self._per_minute,
                    )
                self._left -= 1
            self._under_way += 1

    def give_back(self) -> None:
        """A request has ended."""
        with self._lock:
            self._under_way -= 1

    def _refill(self, per_minute: int) -> None:
        now = self._clock()
        self._left = min(per_minute, self._left + (now - self._counted_at) * per_minute / 60)
        self._counted_at = now
