"""What is asked at the door: something for which no task of the event loop has to wait."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Protocol

from starlette.types import Receive, Scope, Send

from service.errors import BusyError
from service.protocols.answer import Answer


class Errand(Protocol):
    """One request. PanoptesError of `start` or `answer` is its answer."""

    def no_time(self) -> BusyError | None:
        """Why not even this would be done in time, where requests are being refused."""

    def expect(self) -> None:
        """Its body will come: `start` or `cancel` follows."""

    def start(self, body: bytes, done: Callable[[], None]) -> bool:
        """All of the body is here. `done` is called once, from any thread, maybe at once. False if
        this is no errand after all, and nothing is done."""

    def answer(self) -> Answer:
        """Once it is done; on the same thread."""

    def cancel(self) -> None:
        """Nobody waits any more. What was started is done all the same, if only sooner."""


class AtTheDoor(abc.ABC):
    """An ASGI application some of whose requests are served at the door."""

    @abc.abstractmethod
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    @abc.abstractmethod
    def errand(self, scope: Scope) -> Errand | None:
        """Of a request whose body is still to come, by its headers; None if it must go inside."""
