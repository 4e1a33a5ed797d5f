"""Whom the server turns away unread."""

import collections
import gc
import json
import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from starlette.responses import Response

from service.access.keys import KeySpec, hash_key
from service.engine.admission import SAFETY
from service.engine.job import Job
from service.protocols.envelope import Visiting
from service.protocols.rest import ImageErrand
from service.tasks.task import ImageCall
from tests.bundles import write_tiny_classifier
from tests.serving import Running, picture, running

IMAGE = picture()
HOPELESS = {"X-Deadline-Ms": "1"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """Sends what it is told and reads what comes, over one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._file = connection.makefile("rb")

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def answer(self) -> Answer:
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Answer(status, headers, self._file.read(int(headers["content-length"])))

    def closed(self) -> bool:
        return self._file.read(1) == b""


@contextmanager
def connected(server: Running) -> Iterator[Client]:
    port = int(server.url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield Client(connection)


def request(*more: Mapping[str, str], path: str = "/classify", body: bytes = IMAGE) -> bytes:
    named = {"Content-Length": str(len(body)), "Content-Type": "image/png"}
    for each in more:
        named |= each
    lines = [f"POST {path} HTTP/1.1", "Host: test", *(f"{k}: {v}" for k, v in named.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Its model takes more than a millisecond."""
    repository = tmp_path_factory.mktemp("slow")
    write_tiny_classifier(repository, matmuls=40)
    with running(repository) as started:
        yield started


@pytest.fixture(autouse=True)
def overload(request: pytest.FixtureRequest) -> None:
    """The door is watched once a request was refused."""
    if "slow" in request.fixturenames:
        refuse_one(request.getfixturevalue("slow"))


def refuse_one(server: Running) -> None:
    with connected(server) as client:
        client.send(request(HOPELESS))
        assert client.answer().status == 429


def turned_away(server: Running, *, deadline_ms: int = 1) -> bool:
    """Whether someone who comes is turned away."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/classify",
        "query_string": b"",
        "headers": [(b"content-length", b"9"), (b"x-deadline-ms", b"%d" % deadline_ms)],
        "state": {},
    }
    met = server.app.meet(scope, lambda status, headers, body: None)
    if isinstance(met, Response):
        return True
    assert met is not None
    met.gone()
    return False


def test_nobody_is_asked_while_nobody_is_refused(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path, matmuls=40)
    with running(tmp_path) as server:
        assert not turned_away(server)
        refuse_one(server)
        assert turned_away(server)


def test_who_cannot_be_served_in_time_hears_it_and_may_ask_again(slow: Running) -> None:
    with connected(slow) as client:
        client.send(request(HOPELESS, {"X-Request-Id": "mine"}))
        answer = client.answer()
        assert answer.status == 429 and answer.headers["x-request-id"] == "mine"
        assert int(answer.headers["retry-after"]) >= 1
        problem = json.loads(answer.body)
        assert problem["instance"] == "mine" and "later than" in problem["detail"]
        client.send(request())
        assert client.answer().status == 200


def test_who_was_let_in_counts_until_he_asks_for_a_place_or_gives_up(slow: Running) -> None:
    scheduler = slow.app.serving.device.scheduler
    (lane,) = scheduler.lanes
    deadline_ms = math.ceil(scheduler.wait_s(lane) * SAFETY * 3e3)  # enough for a few, not for all
    unread = request({"X-Deadline-Ms": str(deadline_ms)})[:-1]
    with ExitStack() as stack:
        for _ in range(16):
            stack.enter_context(connected(slow)).send(unread)
        wait_until(lambda: turned_away(slow, deadline_ms=deadline_ms))
        assert lane.pending == 0

    wait_until(lambda: not turned_away(slow, deadline_ms=deadline_ms))


def wait_until(come: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not come():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_the_answer_is_that_of_a_request_that_was_read(slow: Running) -> None:
    with connected(slow) as client:
        client.send(request(HOPELESS))
        unread = client.answer()
        # Of several parts none knows how many images there are: it is read first.
        body = (
            b"--b\r\nContent-Disposition: form-data; name=image\r\n\r\n" + IMAGE + b"\r\n--b--\r\n"
        )
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        client.send(request(HOPELESS, kind, body=body))
        read = client.answer()
    assert unread.status == read.status == 429
    assert {*unread.headers} == {*read.headers}
    assert json.loads(unread.body)["title"] == json.loads(read.body)["title"]


def test_it_answers_after_the_last_byte(slow: Running) -> None:
    message = request(HOPELESS)
    with connected(slow) as client:
        for start in range(0, len(message) - 1, 40):
            client.send(message[start : min(start + 40, len(message) - 1)])
        client._connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client._connection.recv(1)
        client._connection.settimeout(20)
        client.send(message[-1:])
        # A file that timed out cannot be read again.
        assert client._connection.recv(12) == b"HTTP/1.1 429"


def test_requests_in_one_breath_are_answered_in_order(slow: Running) -> None:
    with connected(slow) as client:
        client.send(request(HOPELESS) + request() + request(HOPELESS) + request(HOPELESS))
        assert [client.answer().status for _ in range(4)] == [429, 200, 429, 429]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/classify?model=nobody", {}, 404),
        ("/classify?top_k=many", {}, 422),
        ("/classify", {"Content-Type": "text/plain"}, 415),
        ("/classify", {"X-Priority": "urgent"}, 422),
        ("/nowhere", {}, 404),
    ],
)
def test_what_else_is_wrong_is_told_as_ever(
    slow: Running, path: str, headers: dict[str, str], status: int
) -> None:
    with connected(slow) as client:
        client.send(request(HOPELESS, headers, path=path))
        assert client.answer().status == status


def test_a_refusal_counts_once(slow: Running) -> None:
    def counts() -> tuple[float, float]:
        refused = slow.metric("panoptes_refused_total", lane="tiny:1/classify", reason="deadline")
        told = slow.metric("panoptes_request_seconds_count", route="/classify", status="429")
        return refused, told

    before = counts()
    with connected(slow) as client:
        client.send(request(HOPELESS))
        client.answer()
    assert counts() == (before[0] + 1, before[1] + 1)


def test_a_client_that_goes_away_in_the_middle_harms_nobody(slow: Running) -> None:
    with connected(slow) as client:
        client.send(request(HOPELESS)[:-10])
    with connected(slow) as client:
        client.send(request())
        assert client.answer().status == 200


def test_the_last_request_of_a_connection_is_answered_and_it_ends(slow: Running) -> None:
    with connected(slow) as client:
        client.send(request(HOPELESS, {"Connection": "close"}))
        assert client.answer().status == 429 and client.closed()


def test_a_stranger_hears_that_first(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path, matmuls=40)
    keys = {"friend": KeySpec(sha256=hash_key("hush"))}
    with running(tmp_path, api_keys=keys) as server, connected(server) as client:
        for key, status in (("hush", 429), ("hash", 401), ("hush", 429)):
            client.send(request(HOPELESS, {"Authorization": f"Bearer {key}"}))
            assert client.answer().status == status


def test_other_pages_may_read_it_where_they_may_read_answers(tmp_path: Path) -> None:
    write_tiny_classifier(tmp_path, matmuls=40)
    with running(tmp_path, cors_origins=("https://page.test",)) as server, connected(server) as c:
        c.send(request(HOPELESS, {"Origin": "https://page.test"}))
        answer = c.answer()
    assert answer.status == 429
    assert answer.headers["access-control-allow-origin"] == "https://page.test"


def test_a_body_that_is_too_long_is_not_waited_for(slow: Running) -> None:
    with connected(slow) as client:
        client.send(request(HOPELESS, {"Content-Length": "9" * 12}))
        assert client.answer().status == 413


def test_a_long_body_arrives_whole(slow: Running) -> None:
    wide = picture(size=(1200, 900), form="BMP")  # 3 MB
    with connected(slow) as client:
        client.send(request(body=wide))
        assert client.answer().status == 200


def test_what_served_someone_goes_with_him(slow: Running) -> None:
    """Nothing waits for the collector of garbage: not the image, not the answer."""
    gc.collect()
    gc.disable()
    try:
        with connected(slow) as client:
            for _ in range(50):
                client.send(request())
                assert client.answer().status == 200
        kinds = (Job, Visiting, ImageErrand, ImageCall)
        stays = collections.Counter(type(o).__name__ for o in gc.get_objects() if type(o) in kinds)
    finally:
        gc.enable()
    # A worker knows its last batch until it has another.
    assert sum(stays.values()) <= 2 * slow.serving.device.workers, stays
