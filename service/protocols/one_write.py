"""A whole answer as one piece of bytes, which leaves in one write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

Headers = Sequence[tuple[bytes, bytes]]

_JOINED_MAX: Final = 1 << 18
"""Bytes of an answer: to copy more costs as much as a second write."""


def as_bytes(status: int, headers: Headers, body: bytes) -> bytes:
    head = b"".join([b"%s: %s\r\n" % header for header in headers])
    if head.count(b"\r") + head.count(b"\n") != 2 * len(headers):
        raise RuntimeError("there is a line break in a header")
    return b"".join([STATUS_LINE[status], head, b"\r\n", body])


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
        cycle.transport.write(as_bytes(head["status"], head["headers"], body))
        cycle.message_event.set()
        cycle.on_response()
