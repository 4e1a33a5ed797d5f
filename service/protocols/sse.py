"""Server-sent events: an answer that tells how the work goes on, and ends with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from service.errors import ClientGoneError
from service.protocols.departure import IfGone

MEDIA_TYPE = "text/event-stream"
BEAT_S = 15.0
"""A stream that is silent for so long says that it lives: proxies close those that do not."""
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


@dataclass(frozen=True, slots=True)
class Remark:
    """What no client makes anything of, but that it came."""

    text: str

    def encoded(self) -> bytes:
        return b": %s\n\n" % self.text.encode()


Tell = Callable[[Event | Remark], None]
Events = asyncio.Queue[Event | Remark | None]
"""None is the end."""

_BEAT = Remark("still here")


async def open_events(
    work: Callable[[Tell], Coroutine[Any, Any, None]],
    scope: Scope,
    *,
    headers: Mapping[str, str],
    last_words: Callable[[Exception], Event],
    beat_s: float = BEAT_S,
) -> EventStream:
    """Begin the work, and wait for the first thing that it tells.

    What it raises before that is raised here, so that it can be answered with a status of its own;
    afterwards `last_words` makes an event of it.
    """
    events: Events = asyncio.Queue()
    going = asyncio.create_task(work(events.put_nowait))
    going.add_done_callback(lambda _: events.put_nowait(None))
    with contextlib.ExitStack() as until_the_end:
        until_the_end.callback(going.cancel)
        until_the_end.enter_context(IfGone(scope, going.cancel))
        stream = EventStream(events, going, headers, last_words, beat_s)
        await stream.begin()
        stream.until_the_end = until_the_end.pop_all()
    return stream


class EventStream:
    """An answer that is under way. A client that goes away cancels the work."""

    def __init__(
        self,
        events: Events,
        going: asyncio.Task[None],
        headers: Mapping[str, str],
        last_words: Callable[[Exception], Event],
        beat_s: float,
    ) -> None:
        self._events = events
        self._going = going
        self._headers = headers
        self._last_words = last_words
        self._beat_s = beat_s
        self._first: Event | Remark | None = None
        self.until_the_end = contextlib.ExitStack()

    async def begin(self) -> None:
        self._first = await self._events.get()
        if self._first is None:
            _raise_what(self._going)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.until_the_end:
            await send(_start(self._headers))
            event = self._first
            while event is not None:
                await send(_part(event.encoded()))
                event = await _next(self._events, send, self._beat_s)
            if (error := _what_went_wrong(self._going)) is not None:
                await send(_part(self._last_words(error).encoded()))
            await send(_part(b"", more=False))


def _raise_what(ended: asyncio.Task[None]) -> None:
    if ended.cancelled():
        raise ClientGoneError("the client went away")
    ended.result()


def _what_went_wrong(ended: asyncio.Task[None]) -> Exception | None:
    error = None if ended.cancelled() else ended.exception()
    return error if isinstance(error, Exception) else None


async def _next(events: Events, send: Send, beat_s: float) -> Event | Remark | None:
    while True:
        try:
            return await asyncio.wait_for(events.get(), beat_s)
        except TimeoutError:
            await send(_part(_BEAT.encoded()))


def _start(headers: Mapping[str, str]) -> dict[str, Any]:
    listed = [(k.encode(), v.encode("latin-1")) for k, v in {**_HEADERS, **headers}.items()]
    return {"type": "http.response.start", "status": 200, "headers": listed}


def _part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}
