"""How far a run is, and when it must end: by steps, by minutes, or because someone asks."""

import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Literal

Clock = Callable[[], float]

CLOCKS: dict[str, Clock] = {"wall": time.monotonic, "process": time.process_time}


class Budget:
    """Steps, and minutes if they are limited, whichever ends first.

    With a limit in minutes the schedule follows the clock, so that a run cut short still anneals.
    The time already spent before a resume counts.
    """

    def __init__(
        self,
        steps: int,
        minutes: float | None = None,
        *,
        clock: Clock | Literal["wall", "process"] = "wall",
    ) -> None:
        if minutes is not None and minutes <= 0:
            raise ValueError(f"minutes must be above 0, got {minutes}")
        self.steps = steps
        self.minutes = minutes
        self._clock = CLOCKS[clock] if isinstance(clock, str) else clock
        self._started_s: float | None = None
        self._spent_s = 0.0

    def start(self, spent_s: float = 0.0) -> None:
        self._spent_s = spent_s
        self._started_s = self._clock()

    @property
    def elapsed_s(self) -> float:
        assert self._started_s is not None, "the budget has not been started"
        return self._spent_s + self._clock() - self._started_s

    def progress(self, step: int) -> float:
        """How much of the run is behind, in [0, 1], before this step."""
        by_steps = step / self.steps
        by_time = self.elapsed_s / (60 * self.minutes) if self.minutes is not None else 0.0
        return min(1.0, max(by_steps, by_time))


class StopSignals:
    """While entered, SIGINT and SIGTERM ask the run to stop and save; a second one kills."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._receive)
            except ValueError:  # not the main thread: whoever owns the process handles its signals
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = number
        for restored, handler in self._before.items():
            signal.signal(restored, handler)
