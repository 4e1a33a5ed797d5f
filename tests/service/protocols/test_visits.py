"""Requests that are served at the door, by a server of which the test is the one who answers."""

import asyncio
import functools
import queue
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from service.protocols.door import DoorProtocol, Meet, Reply

WAIT_S = 20.0


@dataclass
class Visitor:
    """A visit that is answered when the test does so."""

    reply: Reply
    stays: bool = True
    body: bytes | None = None
    left: int = 0
    has_come: threading.Event = field(default_factory=threading.Event)
    has_left: threading.Event = field(default_factory=threading.Event)

    def came(self, body: bytes) -> bool:
        self.body = body
        self.has_come.set()
        return self.stays

    def gone(self) -> None:
        self.left += 1
        self.has_left.set()

    def answer(self, body: bytes) -> None:
        """From a thread that is not the event loop's."""
        self.reply(200, [(b"content-length", b"%d" % len(body))], body)


class Hall:
    """Meets those who ask for /visit, and lets the others in."""

    def __init__(self, *, stay: bool = True) -> None:
        self._stay = stay
        self.visitors: queue.Queue[Visitor] = queue.Queue()

    def meet(self, scope: Any, reply: Reply) -> Visitor | None:
        if scope["path"] != "/visit":
            return None
        visitor = Visitor(reply, self._stay)
        self.visitors.put(visitor)
        return visitor

    def next(self) -> Visitor:
        visitor = self.visitors.get(timeout=WAIT_S)
        assert visitor.has_come.wait(WAIT_S)
        return visitor


async def inside(scope: Any, receive: Any, send: Any) -> None:
    """Says the path and what came with it."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    said = scope["path"].encode() + b" " + body
    length = (b"content-length", b"%d" % len(said))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": said})


@dataclass
class House:
    server: uvicorn.Server
    thread: threading.Thread

    @contextmanager
    def client(self) -> Iterator["Client"]:
        port = self.server.servers[0].sockets[0].getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
            client = Client(connection)
            try:
                yield client
            finally:
                client.file.close()

    def end(self) -> None:
        self.server.should_exit = True


class Client:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.file = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self) -> tuple[dict[str, str], bytes]:
        assert b" 200 " in self.file.readline()
        headers = {}
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return headers, self.file.read(int(headers["content-length"]))

    def body(self) -> bytes:
        return self.answer()[1]

    def hears_nothing(self, for_s: float = 0.2) -> bool:
        self.connection.settimeout(for_s)
        try:
            self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.connection.settimeout(WAIT_S)
        return False

    def is_closed(self) -> bool:
        return self.file.read(1) == b""


@contextmanager
def house(meet: Meet, *, keep_alive_s: int = 5) -> Iterator[House]:
    config = uvicorn.Config(
        inside,
        http=functools.partial(DoorProtocol, meet=meet),  # type: ignore[arg-type]
        port=0,
        log_config=None,
        lifespan="off",
        timeout_keep_alive=keep_alive_s,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    ends = time.monotonic() + WAIT_S
    while not server.started:
        assert time.monotonic() < ends
        time.sleep(0.01)
    try:
        yield House(server, thread)
    finally:
        server.should_exit = True
        thread.join(WAIT_S)
        assert not thread.is_alive()


@pytest.fixture
def hall() -> Hall:
    return Hall()


@pytest.fixture
def home(hall: Hall) -> Iterator[House]:
    with house(hall.meet) as started:
        yield started


def post(path: str = "/visit", body: bytes = b"body") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (
        path.encode(),
        len(body),
        body,
    )


def test_a_visit_is_answered_by_whoever_likes(hall: Hall, home: House) -> None:
    with home.client() as client:
        for said in (b"one", b"two"):
            client.send(post(body=said))
            visitor = hall.next()
            assert visitor.body == said
            visitor.answer(b"heard " + said)
            assert client.body() == b"heard " + said


def test_its_body_is_handed_over_whole(hall: Hall, home: House) -> None:
    body = random.Random(7).randbytes(3 << 20)
    message = post(body=body)
    with home.client() as client:
        for start in range(0, len(message), 1 << 19):
            client.send(message[start : start + (1 << 19)])
            time.sleep(0.01)
        visitor = hall.next()
        assert visitor.body == body
        visitor.answer(b"")
        assert client.body() == b""


def test_who_comes_behind_a_visit_is_answered_behind_it(hall: Hall, home: House) -> None:
    with home.client() as client:
        client.send(post() + post("/inside", b"2") + post(body=b"3"))
        assert client.hears_nothing()
        hall.next().answer(b"1")
        assert client.body() == b"1"
        assert client.body() == b"/inside 2"
        # It came while another was waiting, and goes the usual way.
        assert client.body() == b"/visit 3"


def test_a_connection_is_used_in_turns(hall: Hall, home: House) -> None:
    with home.client() as client:
        for number in range(4):
            client.send(post("/inside", b"%d" % number))
            assert client.body() == b"/inside %d" % number
            client.send(post())
            hall.next().answer(b"%d" % number)
            assert client.body() == b"%d" % number


def test_an_answer_for_which_there_is_no_room_yet_arrives_whole(hall: Hall, home: House) -> None:
    long = random.Random(7).randbytes(16 << 20)
    with home.client() as client:
        client.send(post() + post("/inside"))
        hall.next().answer(long)
        time.sleep(0.1)
        assert client.body() == long
        assert client.body() == b"/inside body"


def test_a_visit_may_go_inside_after_all() -> None:
    hall = Hall(stay=False)
    with house(hall.meet) as home, home.client() as client:
        for number in range(2):
            client.send(post(body=b"%d" % number))
            assert client.body() == b"/visit %d" % number
            assert hall.next().body == b"%d" % number


@pytest.mark.parametrize("sent", [post(), post()[:-1]])
def test_a_visitor_who_goes_away_is_told_of_once(hall: Hall, home: House, sent: bytes) -> None:
    with home.client() as client:
        client.send(sent)
        visitor = hall.visitors.get(timeout=WAIT_S)
        assert not visitor.has_left.wait(0.05)
    assert visitor.has_left.wait(WAIT_S)
    visitor.answer(b"nobody reads this")
    with home.client() as client:  # who must not get it
        client.send(post("/inside"))
        assert client.body() == b"/inside body"
    assert visitor.left == 1


def test_who_was_answered_is_not_told_of(hall: Hall, home: House) -> None:
    with home.client() as client:
        client.send(post())
        visitor = hall.next()
        visitor.answer(b"")
        client.answer()
    assert not visitor.has_left.wait(0.1)


def test_an_idle_connection_is_closed_and_one_on_which_someone_waits_is_not(hall: Hall) -> None:
    with house(hall.meet, keep_alive_s=1) as home, home.client() as client:
        client.send(post())
        visitor = hall.next()
        assert client.hears_nothing(for_s=1.3)
        visitor.answer(b"late")
        answered = time.monotonic()
        assert client.body() == b"late"
        client.send(post(body=b"again")[:-1])  # nor is one on which someone speaks
        assert client.hears_nothing(for_s=1.3)
        client.send(b"n")
        visitor = hall.next()
        visitor.answer(b"")
        client.answer()
        answered = time.monotonic()
        assert client.is_closed()
        assert 0.9 < time.monotonic() - answered < 3.0


def test_who_waits_when_the_server_ends_is_answered_and_told_to_go(hall: Hall) -> None:
    with house(hall.meet) as home, home.client() as client:
        client.send(post())
        visitor = hall.next()
        home.end()
        home.thread.join(0.3)
        assert home.thread.is_alive()
        visitor.answer(b"farewell")
        headers, body = client.answer()
        assert body == b"farewell" and headers["connection"] == "close"
        assert client.is_closed()


def test_nobody_is_forgotten_whatever_happens_at_the_same_moment(hall: Hall, home: House) -> None:
    """The answer leaves while the next request is being read, by chance before or after."""
    rng = random.Random(7)
    ends = threading.Event()

    def answer_all() -> None:
        while not ends.is_set():
            try:
                visitor = hall.visitors.get(timeout=0.05)
            except queue.Empty:
                continue
            visitor.has_come.wait(WAIT_S)
            time.sleep(rng.choice((0.0, 0.0, 1e-5, 1e-4)))
            visitor.answer(b"/visit " + (visitor.body or b""))

    threads = [threading.Thread(target=answer_all) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        with home.client() as client:
            for number in range(400):
                body = b"%d" % number
                client.send(post(body=body))
                time.sleep(rng.choice((0.0, 1e-5, 1e-4, 2e-4)))
                client.send(post("/inside", body=body) + post(body=body))
                assert client.body() == b"/visit " + body
                assert client.body() == b"/inside " + body
                assert client.body() == b"/visit " + body
    finally:
        ends.set()
        for thread in threads:
            thread.join()


def test_the_loop_writes_while_it_has_something_to_write(hall: Hall) -> None:
    """Two answers of a kind that leaves by the loop, and a visit in the same breath."""
    turned = turning_away("/busy", hall.meet)
    with house(turned) as home, home.client() as client:
        client.send(post("/busy") + post(body=b"1"))
        hall.next().answer(b"one")
        assert client.body() == b"busy"
        assert client.body() == b"one"


def turning_away(path: str, otherwise: Meet) -> Callable[[Any, Reply], Any]:
    from starlette.responses import Response

    def meet(scope: Any, reply: Reply) -> Any:
        return Response("busy") if scope["path"] == path else otherwise(scope, reply)

    return meet


def test_the_loop_is_not_needed_for_the_answer(hall: Hall, home: House) -> None:
    """It is held up, and the client hears all the same."""
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        go_on.wait(WAIT_S)

    with home.client() as client:
        client.send(post())
        visitor = hall.next()
        loop: asyncio.AbstractEventLoop = visitor.reply.__self__._protocol.loop  # type: ignore[attr-defined]
        loop.call_soon_threadsafe(hold)
        assert held.wait(WAIT_S)
        try:
            visitor.answer(b"by my own hand")
            assert client.body() == b"by my own hand"
        finally:
            go_on.set()
