"""At the door: who comes when no answer could be in time is turned away before anything is read.

Under overload most requests are refused, and what a refusal costs is taken from the others. Here
one costs half of what it costs behind the door: no body is kept, no task is made.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

Refuse = Callable[[Any], Response | None]
"""From an ASGI scope to the answer to those who need not be let in."""

_TELL: Final = "tell_arrival"
_UNREAD_MAX: Final = 1 << 20
"""Bytes of a body, which few photos exceed."""


def on_arrival(scope: Scope, tell: Callable[[], None]) -> None:
    """Have it told, once, that whom the door let in asks for a place now, or gave up before."""
    scope.setdefault("state", {})[_TELL] = tell


def arrived(scope: Scope) -> None:
    if (tell := scope["state"].pop(_TELL, None)) is not None:
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

    def shutdown(self) -> None:
        self._closing = True
        if self._answer is None:
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
        return None if response is None else _as_bytes(response)


class _Answered:
    """In the place of a cycle whose answer is settled already."""

    response_complete = True
    message_event = property(lambda self: self)

    def set(self) -> None:
        """Nobody waits for the rest of the message."""


_ANSWERED: Final[RequestResponseCycle] = _Answered()  # type: ignore[assignment]


def _as_bytes(response: Response) -> bytes:
    status = response.status_code
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
