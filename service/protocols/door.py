"""At the door: who comes when no answer could be in time is turned away before anything is read.

Under overload most requests are refused, and what a refusal costs is taken from the others. Here
one costs half of what it costs behind the door: no body is kept, no task is made.

Who is let in leaves through it as well: with a whole answer in one write, or without one, which
those who work for him hear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Message, Scope
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from service.errors import ClientGoneError

Refuse = Callable[[Any], Response | None]
"""From an ASGI scope to the answer to those who need not be let in."""

Headers = Sequence[tuple[bytes, bytes]]

_TELL: Final = "tell_arrival"
_GONE: Final = "gone"
_LEFT: Final = "left"
LAST_CALL_S: Final = 0.1
"""From the end of the service to that of connections on which nobody is waiting."""
_UNREAD_MAX: Final = 1 << 20
"""Bytes of a body, which few photos exceed."""
_JOINED_MAX: Final = 1 << 18
"""Bytes of an answer: to copy more costs as much as a second write."""


def on_arrival(scope: Scope, tell: Callable[[], None]) -> None:
    """Have it told, once, that whom the door let in asks for a place now, or gave up before."""
    scope.setdefault("state", {})[_TELL] = tell


def arrived(scope: Scope) -> None:
    if (tell := scope["state"].pop(_TELL, None)) is not None:
        tell()


class IfGone:
    """While this lasts, have it told if the client goes away. ClientGoneError if he has already.

    One at a time: a request waits for one thing.
    """

    __slots__ = ("_state", "_tell")

    def __init__(self, scope: Scope, tell: Callable[[], object]) -> None:
        self._state = scope["state"]
        self._tell = tell

    def __enter__(self) -> None:
        if _LEFT in self._state:
            raise ClientGoneError("the client went away")
        self._state[_GONE] = self._tell

    def __exit__(self, *_: object) -> None:
        self._state.pop(_GONE, None)


def left(scope: Scope) -> None:
    """The client went away."""
    scope["state"][_LEFT] = True
    if (tell := scope["state"].pop(_GONE, None)) is not None:
        tell()


class DoorProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which asks at the end of a request's headers whether to let it in.

    Who is turned away hears so when all of the body has come, and none of it was kept: many
    clients do not listen while they send. Only plain requests are asked for; what else there is
    goes the usual way.
    """

    def __init__(self, *args: Any, refuse: Refuse, **more: Any) -> None:
        super().__init__(*args, **more)
        self._refuse = refuse
        self._answer: bytes | None = None
        self._closing = False

    def on_headers_complete(self) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        if not idle or (answer := self._refusal()) is None:
            super().on_headers_complete()
            self.cycle.send = OneWrite(self.cycle)  # type: ignore[method-assign]
            if self._closing:
                self.cycle.keep_alive = False
            return
        self._answer = answer
        self.cycle = _ANSWERED

    def on_body(self, body: bytes) -> None:
        """uvicorn's own stops reading and starts again for what is longer than 64 KiB."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or len(cycle.body) + len(body) > _UNREAD_MAX:
            super().on_body(body)
            return
        cycle.body += body
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._answer is None:
            super().on_message_complete()
            return
        self.transport.write(self._answer)
        self._answer = None
        if self._closing:
            self.transport.close()
        self.on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        scope: Any = self.scope
        super().connection_lost(exc)
        if self.cycle is not None and self.cycle.disconnected:
            left(scope)

    def shutdown(self) -> None:
        """Who is idle here may have asked already: what nobody has read yet would be lost with the
        connection, so that there is a moment in which it is."""
        self._closing = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_CALL_S, self._close)
        else:
            super().shutdown()

    def _close(self) -> None:
        if self._answer is None and not self.transport.is_closing():
            super().shutdown()

    def _refusal(self) -> bytes | None:
        parser = self.parser
        plain = (
            parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not self.expect_100_continue
            and not self.root_path
        )
        if not plain:
            return None
        path, _, query = self.url.partition(b"?")
        scope: Any = self.scope
        scope.update(method="POST", path=path.decode("latin-1"), query_string=query)
        response = self._refuse(scope)
        if response is None:
            return None
        return _as_bytes(response.status_code, response.raw_headers, bytes(response.body))


class OneWrite:
    """In the place of a cycle's `send`: the head of an answer waits for the body, where that is
    all there is to it. Written apart they are two calls of the system, and wake the client
    twice."""

    __slots__ = ("_cycle", "_head", "_length", "_send")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._send = cycle.send
        self._head: Any = None
        self._length = 0
        """Of the body, as the head declares it."""

    async def __call__(self, message: Any) -> None:
        head, self._head = self._head, None
        if head is None:
            if message["type"] == "http.response.start" and self._may_join(message["headers"]):
                self._head = message
            else:
                await self._send(message)
            return
        body = message.get("body", b"")
        if self._is_plain(message) and len(body) == self._length:
            self._write(head, body)
        else:
            await self._send(head)
            await self._send(message)

    def _may_join(self, headers: Headers) -> bool:
        """Whether they are those of a whole answer, and one that is not too long; its length is
        kept."""
        known = dict(headers)
        length = known.get(b"content-length", b"")
        if not length.isdigit() or b"connection" in known:
            return False
        self._length = int(length)
        return self._length <= _JOINED_MAX

    def _is_plain(self, message: Message) -> bool:
        cycle = self._cycle
        return (
            not message.get("more_body")
            and cycle.scope["method"] != "HEAD"
            and cycle.keep_alive
            and not cycle.response_started
            and not cycle.disconnected
            and not cycle.flow.write_paused
        )

    def _write(self, head: Message, body: bytes) -> None:
        cycle = self._cycle
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write(_as_bytes(head["status"], head["headers"], body))
        cycle.message_event.set()
        cycle.on_response()


class _Answered:
    """In the place of a cycle whose answer is settled already."""

    response_complete = True
    message_event = property(lambda self: self)

    def set(self) -> None:
        """Nobody waits for the rest of the message."""


_ANSWERED: Final[RequestResponseCycle] = _Answered()  # type: ignore[assignment]


def _as_bytes(status: int, headers: Headers, body: bytes) -> bytes:
    head = b"".join([b"%s: %s\r\n" % header for header in headers])
    if head.count(b"\r") + head.count(b"\n") != 2 * len(headers):
        raise RuntimeError("there is a line break in a header")
    return b"".join([STATUS_LINE[status], head, b"\r\n", body])
