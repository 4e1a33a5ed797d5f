"""HTTP/1.1 as far as a load generator needs it: prepared bytes out, status and length in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

LOST = 0
"""The status of an exchange whose connection ended before the answer did."""

OnAnswer = Callable[["Connection", int], None]
"""Called once an exchange, with its status; the connection is idle again, or closed."""


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    __slots__ = (
        "_arrived",
        "_head",
        "_left",
        "_on_answer",
        "_status",
        "_transport",
        "alive",
        "tag",
    )

    def __init__(self, on_answer: OnAnswer) -> None:
        self._on_answer = on_answer
        self._transport: asyncio.Transport | None = None
        self._head = b""
        self._status = -1  # nothing is under way
        self._left = 0
        self.alive = False
        self.tag = 0
        """Whose request it carries; for the owner's use."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.alive = True

    def send(self, request: bytes) -> None:
        assert self._transport is not None and self._status < 0
        self._status = LOST  # until an answer says otherwise
        self._transport.write(request)

    def close(self) -> None:
        self.alive = False
        self._status = -1
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            data = self._head + data if self._head else data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._head = b""
            head = data[:end].lower()
            self._status = int(head[9:12])
            if b"\r\nconnection: close" in head:
                self.alive = False
            self._left = _content_length(head) - (len(data) - end - 4)
        if self._left == 0:
            status, self._status = self._status, -1
            self._on_answer(self, status)

    def connection_lost(self, error: Exception | None) -> None:
        self.alive = False
        if self._status >= 0:
            self._status = -1
            self._on_answer(self, LOST)


def _content_length(head: bytes) -> int:
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        raise ValueError(f"an answer without a Content-Length: {head!r}")
    return int(head[at + 17 :].split(b"\r\n", 1)[0])
