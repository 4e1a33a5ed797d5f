"""Server-sent events: an answer that tells how the work goes on, and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson
from starlette.types import Receive, Send

from service.errors import ClientGoneError
from service.protocols.serving import disconnected

MEDIA_TYPE = "text/event-stream"
BEAT_S = 15.0
"""A stream that is silent for so long says that it lives: proxies close those that do not."""
_BEAT = b": still here\n\n"
_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "content-type": MEDIA_TYPE,
        "cache-control": "no-store",
        "x-accel-buffering": "no",  # a proxy that collects the events would spoil them
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    data: Any

    def encoded(self) -> bytes:
        # JSON has no line breaks of its own, so that one line holds it.
        return b"event: %s\ndata: %s\n\n" % (self.name.encode(), orjson.dumps(self.data))


Tell = Callable[[Event], None]


async def answer_with_events(
    work: Callable[[Tell], Coroutine[Any, Any, None]],
    receive: Receive,
    send: Send,
    *,
    headers: Mapping[str, str],
    last_words: Callable[[Exception], Event],
    beat_s: float = BEAT_S,
) -> None:
    """Send what the work tells, from its first event on.

    What it raises before that is raised here, so that it can be answered with a status of its own;
    afterwards it becomes the last event. A client that goes away cancels the work.
    """
    events: asyncio.Queue[Event | None] = asyncio.Queue()
    going = asyncio.create_task(work(events.put_nowait))
    going.add_done_callback(lambda _: events.put_nowait(None))
    gone = asyncio.create_task(disconnected(receive))
    gone.add_done_callback(lambda _: going.cancel())
    try:
        event = await events.get()
        if event is None:
            _raise_what(going)
        await send(_start(headers))
        while event is not None:
            await send(_part(event.encoded()))
            event = await _next(events, send, beat_s)
        if not going.cancelled() and isinstance(error := going.exception(), Exception):
            await send(_part(last_words(error).encoded()))
        await send(_part(b"", more=False))
    finally:
        gone.cancel()
        going.cancel()


def _raise_what(ended: asyncio.Task[None]) -> None:
    if ended.cancelled():
        raise ClientGoneError("the client went away")
    ended.result()


async def _next(events: asyncio.Queue[Event | None], send: Send, beat_s: float) -> Event | None:
    while True:
        try:
            return await asyncio.wait_for(events.get(), beat_s)
        except TimeoutError:
            await send(_part(_BEAT))


def _start(headers: Mapping[str, str]) -> dict[str, Any]:
    listed = [(k.encode(), v.encode("latin-1")) for k, v in {**_HEADERS, **headers}.items()]
    return {"type": "http.response.start", "status": 200, "headers": listed}


def _part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}
