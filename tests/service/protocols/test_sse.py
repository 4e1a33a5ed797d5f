"""Events over a connection that a test holds both ends of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.errors import BusyError, ClientGoneError
from service.protocols.departure import left
from service.protocols.sse import Event, EventStream, Remark, Tell, open_events


class Client:
    """What arrives, and a way to hang up."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.scope: dict[str, Any] = {"state": {}}
        self.came = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        raise AssertionError("the request was read")

    def hang_up(self) -> None:
        left(self.scope)

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        self.came.set()

    async def read(self, stream: EventStream) -> None:
        await stream(self.scope, self.receive, self.send)

    @property
    def text(self) -> str:
        return b"".join(m.get("body", b"") for m in self.messages).decode()


async def opened(client: Client, work: Any, **options: Any) -> EventStream:
    return await open_events(
        work,
        client.scope,
        headers={"x-seed": "7"},
        last_words=lambda error: Event("error", str(error)),
        **options,
    )


def test_events_and_remarks_are_written_as_they_are_told() -> None:
    async def work(tell: Tell) -> None:
        tell(Event("first", {"line": "one\ntwo"}))
        tell(Remark("nothing to see"))
        tell(Event("last", [1, 2]))

    async def talk() -> Client:
        client = Client()
        await client.read(await opened(client, work))
        return client

    client = asyncio.run(talk())
    start, *parts = client.messages
    headers = dict(start["headers"])
    assert start["status"] == 200
    assert headers[b"content-type"] == b"text/event-stream"
    assert headers[b"cache-control"] == b"no-store" and headers[b"x-seed"] == b"7"
    assert client.text == (
        'event: first\ndata: {"line":"one\\ntwo"}\n\n'
        ": nothing to see\n\n"
        "event: last\ndata: [1,2]\n\n"
    )
    assert [part["more_body"] for part in parts] == [True, True, True, False]


def test_an_error_before_the_first_event_is_raised() -> None:
    async def work(tell: Tell) -> None:
        raise BusyError("not now", retry_after_s=1)

    async def talk() -> None:
        await opened(Client(), work)

    with pytest.raises(BusyError):
        asyncio.run(talk())


def test_an_error_afterwards_is_the_last_event() -> None:
    async def work(tell: Tell) -> None:
        tell(Event("first", 1))
        raise RuntimeError("it broke")

    async def talk() -> str:
        client = Client()
        await client.read(await opened(client, work))
        return client.text

    assert asyncio.run(talk()).endswith('event: error\ndata: "it broke"\n\n')


@pytest.mark.parametrize("begun", [False, True])
def test_a_client_that_goes_away_cancels_the_work(begun: bool) -> None:
    cancelled = []

    async def work(tell: Tell) -> None:
        if begun:
            tell(Event("first", 1))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def talk() -> None:
        client = Client()
        if not begun:
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, client.hang_up)  # once the work has begun
            with pytest.raises(ClientGoneError):
                await opened(client, work)
            return
        reading = asyncio.create_task(client.read(await opened(client, work)))
        await client.came.wait()
        client.hang_up()
        await reading

    asyncio.run(talk())
    assert cancelled == [True]


def test_a_stream_that_is_silent_says_that_it_lives() -> None:
    done = asyncio.Event()

    async def work(tell: Tell) -> None:
        tell(Event("first", 1))
        await done.wait()

    async def talk() -> str:
        client = Client()
        reading = asyncio.create_task(client.read(await opened(client, work, beat_s=0.001)))
        while client.text.count(": still here\n\n") < 2:
            client.came.clear()
            await client.came.wait()
        done.set()
        await reading
        return client.text

    assert asyncio.run(talk()).startswith("event: first\ndata: 1\n\n: still here\n\n")
