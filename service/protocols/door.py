"""At the door: who comes when no answer could be in time is turned away before anything is read.

Under overload most requests are refused, and what a refusal costs is taken from the others. Here
one costs half of what it costs behind the door: no body is kept, no task is made.

Who wants so little that nobody need wait for it is served at the door too: a visit. Its body is
handed over when it is whole, and its answer leaves by the hand of the thread that made it: the
event loop reads, and nothing else.

Whoever goes inside leaves through the door as well: with a whole answer in one write, or without
one, which those who work for him hear.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

from starlette.responses import Response
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.protocols.departure import left
from service.protocols.one_write import Headers, OneWrite, as_bytes
from service.protocols.wire import CAN_SEND, Wire

Reply = Callable[[int, Headers, bytes], None]
"""Answers a visit, once and from any thread: status, headers, body."""


class Visit(Protocol):
    """A request that is served at the door. Called on the event loop, once by each of these at
    the most."""

    def came(self, body: bytes) -> bool:
        """All of it. False if the request must go inside after all."""

    def gone(self) -> None:
        """The client went away unanswered."""


Meet = Callable[[Any, Reply], Visit | Response | None]
"""From an ASGI scope, whose body is still to come, to who serves it at the door, or to the answer
for those who need not be let in; None is for who must go inside."""

LAST_CALL_S: Final = 0.1
"""From the end of the service to that of connections on which nobody is waiting."""
_UNREAD_MAX: Final = 1 << 20
"""Bytes of a body, which few photos exceed."""
_CLOSE: Final = (b"connection", b"close")


class DoorProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which asks at the end of a request's headers who will serve it.

    Who is turned away hears so when all of the body has come, and none of it was kept: many
    clients do not listen while they send. Only plain requests are asked for; what else there is
    goes the usual way.
    """

    cycle: Any
    """uvicorn's own, or what stands in its place here."""

    def __init__(self, *args: Any, meet: Meet, **more: Any) -> None:
        super().__init__(*args, **more)
        self._meet = meet
        self._seat: _Seat | None = None
        """Of the latest visit."""
        self._wire: Wire | None = None
        self._patience: asyncio.TimerHandle | None = None
        self.closing = False
        """After the next answer, if there is to be one."""

    def on_headers_complete(self) -> None:
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self._is_plain() and self._is_served_here():
            return
        ahead = self.cycle
        self._enter()
        if isinstance(ahead, _Seat) and ahead.response_complete:
            self._go_on()  # it has left just now

    def on_body(self, body: bytes) -> None:
        """uvicorn's own stops reading and starts again for what is longer than 64 KiB."""
        cycle = self.cycle
        if isinstance(cycle, _Seat):
            cycle.hear(body)
            return
        if cycle is None or cycle.response_complete or len(cycle.body) + len(body) > _UNREAD_MAX:
            super().on_body(body)
            return
        cycle.body += body
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        if isinstance(self.cycle, _Seat):
            if (body := self.cycle.serve(self._way_out())) is not None:
                self._go_inside(body)
        else:
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        scope: Any = self.scope
        super().connection_lost(exc)
        if self._wire is not None:
            self._wire.close()
        if self._patience is not None:
            self._patience.cancel()
        if self._seat is not None:
            self._seat.leave()
        if self.cycle is not None and self.cycle is not self._seat and self.cycle.disconnected:
            left(scope)

    def shutdown(self) -> None:
        """Who is idle here may have asked already: what nobody has read yet would be lost with the
        connection, so that there is a moment in which it is."""
        self.closing = True
        if self.cycle is None or self.cycle.response_complete:
            self._close_soon()
        else:
            super().shutdown()

    def served(self, rest: bytes, *, last: bool) -> None:
        """A visit was answered, but for this rest; on the event loop."""
        if self.transport.is_closing():
            return
        self.transport.write(rest)
        if last:
            self.transport.close()
        elif self.closing:
            self._close_soon()
        self._go_on()

    def _go_inside(self, body: bytes) -> None:
        """With a request that has been read."""
        self.cycle = self._seat = None
        self._enter()
        self.cycle.body += body
        super().on_message_complete()

    def _enter(self) -> None:
        """Have the request answered by the application."""
        super().on_headers_complete()
        self.cycle.send = OneWrite(self.cycle)
        if self.closing:
            self.cycle.keep_alive = False

    def _go_on(self) -> None:
        """With the request that came while a visit was served, if there is one."""
        if self.pipeline and not self.transport.is_closing():
            self.on_response_complete()

    def _close_soon(self) -> None:
        self.loop.call_later(LAST_CALL_S, self._close)

    def _close(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def _is_plain(self) -> bool:
        parser = self.parser
        return (
            parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.root_path
        )

    def _is_served_here(self) -> bool:
        path, _, query = self.url.partition(b"?")
        scope: Any = self.scope
        scope.update(method="POST", path=path.decode("latin-1"), query_string=query)
        seat = _Seat(self, scope)
        met = self._meet(scope, seat.reply)
        if met is None:
            return False
        if isinstance(met, Response):
            seat.visit, seat.listens = _TurnedAway(met, seat.reply), False
        else:
            seat.visit = met
        self.cycle = self._seat = seat
        if self._patience is None:
            self._lose_patience_in(self.timeout_keep_alive)
        return True

    def _way_out(self) -> Wire | None:
        """For threads; None where there is none, and while the event loop has still to write."""
        if not CAN_SEND or self.scheme != "http" or self.transport.get_write_buffer_size():
            return None
        if self._wire is None:
            with contextlib.suppress(OSError):  # so many files may be open, and no more
                self._wire = Wire(self.transport.get_extra_info("socket").fileno())
        return self._wire

    def _lose_patience_in(self, seconds: float) -> None:
        self._patience = self.loop.call_later(seconds, self._lose_patience)

    def _lose_patience(self) -> None:
        """Close a connection that was idle for long. One timer for all of its visits, while
        uvicorn sets one after each answer."""
        self._patience = None
        seat = self._seat
        if seat is None or self.cycle is not seat:
            return  # the last request went the usual way, and so do its timers
        waits = not seat.response_complete or self.scope is not seat.scope
        left_s = float(self.timeout_keep_alive)
        if not waits:
            left_s -= time.monotonic() - seat.answered_at
        if left_s > 0:
            self._lose_patience_in(left_s)
        else:
            self.timeout_keep_alive_handler()


class _Seat:
    """In the place of a cycle: a visitor's."""

    __slots__ = (
        *("_pieces", "_protocol", "_wire", "answered_at", "disconnected", "keep_alive"),
        *("listens", "response_complete", "scope", "visit"),
    )

    def __init__(self, protocol: DoorProtocol, scope: Scope) -> None:
        self._protocol = protocol
        self._wire: Wire | None = None
        self.visit: Visit = _NOBODY
        self.scope = scope
        self.listens = True
        """Whether the body is kept."""
        self._pieces: list[bytes] = []
        self.answered_at = 0.0
        self.response_complete = self.disconnected = False
        self.keep_alive = True

    @property
    def message_event(self) -> _Seat:
        return self

    def set(self) -> None:
        """Nobody waits for the rest of the message."""

    def hear(self, body: bytes) -> None:
        """A piece of it."""
        if self.listens:
            self._pieces.append(body)

    def serve(self, wire: Wire | None) -> bytes | None:
        """All has come; what is returned is to go inside."""
        self._wire = wire
        body, self._pieces = b"".join(self._pieces), []
        return None if self.visit.came(body) else body

    def leave(self) -> None:
        """The client went away."""
        self.visit.gone()

    def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """The order of the last lines matters: what the event loop does at this moment, it does in
        the opposite one. So none of both misses what the other did."""
        self.visit = _NOBODY
        protocol = self._protocol
        last = protocol.closing
        data = as_bytes(status, [*headers, _CLOSE] if last else headers, body)
        sent = 0 if self._wire is None else self._wire.write(data)
        self.answered_at = time.monotonic()
        if sent == len(data):
            self.response_complete = True
            if not (protocol.pipeline or protocol.closing):
                return
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its connections are
            protocol.loop.call_soon_threadsafe(self._replied, data[sent:], last)

    def _replied(self, rest: bytes, last: bool) -> None:
        self.response_complete = True
        self._protocol.served(rest, last=last)


class _TurnedAway:
    """The visit of someone for whom there is no time: he hears so when he has said all."""

    def __init__(self, response: Response, reply: Reply) -> None:
        self._response = response
        self._reply = reply

    def came(self, body: bytes) -> bool:
        response = self._response
        self._reply(response.status_code, response.raw_headers, bytes(response.body))
        return True

    def gone(self) -> None: ...


class _Nobody:
    """The null visit."""

    def came(self, body: bytes) -> bool:
        return False

    def gone(self) -> None: ...


_NOBODY: Final = _Nobody()
