"""What is asked at the door: something for which no task of the event loop has to wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from service.errors import BusyError
from service.protocols.answer import Answer


class Errand(Protocol):
    """One request. PanoptesError of `start` or `answer` is its answer."""

    def no_time(self) -> BusyError | None:
        """Why not even this would be done in time, where requests are being refused."""

    def expect(self) -> None:
        """Its body will come: `start` or `cancel` follows."""

    def start(self, body: bytes, done: Callable[[], None]) -> None:
        """All of the body is here. `done` is called once, from any thread, maybe at once."""

    def answer(self) -> Answer:
        """Once it is done; on the same thread."""

    def cancel(self) -> None:
        """Nobody waits any more. What was started is done all the same, if only sooner."""
