"""How answers leave, byte by byte, beside what uvicorn writes."""

import asyncio
import logging
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from service.protocols.one_write import OneWrite


class Wire:
    """In the place of a transport."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def written(messages: list[Any], *, through_the_door: bool, **scope: Any) -> Wire:
    """What goes over the wire for what an application sends."""

    async def send() -> None:
        cycle = RequestResponseCycle(
            scope={"method": "GET", **scope},  # type: ignore[arg-type]
            transport=wire,  # type: ignore[arg-type]
            flow=FlowControl(wire),  # type: ignore[arg-type]
            logger=logging.getLogger("test"),
            access_logger=logging.getLogger("test"),
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=scope.get("keep_alive", True),
            on_response=lambda: None,
        )
        leave = OneWrite(cycle) if through_the_door else cycle.send
        for message in messages:
            await leave(message)
        assert cycle.response_complete

    wire = Wire()
    asyncio.run(send())
    return wire


def answer(body: bytes, *more: tuple[bytes, bytes], status: int = 200) -> list[Any]:
    length = (b"content-length", b"%d" % len(body))
    head = {"type": "http.response.start", "status": status, "headers": [length, *more]}
    return [head, {"type": "http.response.body", "body": body}]


CLOSE = (b"connection", b"close")
STREAM = [
    {"type": "http.response.start", "status": 200, "headers": [(b"x-seed", b"7")]},
    {"type": "http.response.body", "body": b"one", "more_body": True},
    {"type": "http.response.body", "body": b"two"},
]
IN_PARTS = [*answer(b"12345")[:1], {**STREAM[1], "body": b"123"}, {**STREAM[2], "body": b"45"}]


@pytest.mark.parametrize(
    ("messages", "scope", "writes"),
    [
        (answer(b'{"label": "ball"}', (b"x-request-id", b"a")), {}, 1),
        (answer(b"", status=204), {}, 1),
        (answer(b"busy", (b"retry-after", b"1"), status=429), {}, 1),
        (answer(bytes(1 << 20)), {}, 2),
        (answer(b"bye", CLOSE), {}, 2),
        (answer(b"bye"), {"keep_alive": False}, 2),
        (answer(b"unseen"), {"method": "HEAD"}, 1),
        (IN_PARTS, {}, 3),
        (STREAM, {}, 3),
    ],
)
def test_an_answer_leaves_as_the_server_would_have_written_it(
    messages: list[Any], scope: dict[str, Any], writes: int
) -> None:
    plain = written(messages, through_the_door=False, **scope)
    ours = written(messages, through_the_door=True, **scope)

    assert b"".join(ours.writes) == b"".join(plain.writes)
    assert ours.closed == plain.closed
    assert len(ours.writes) == writes


@pytest.mark.parametrize("through_the_door", [False, True])
@pytest.mark.parametrize("body", [b"1234", b"123456"])
def test_a_body_of_another_length_than_declared_is_a_defect(
    body: bytes, through_the_door: bool
) -> None:
    head, _ = answer(b"12345")
    with pytest.raises(RuntimeError, match="than Content-Length"):
        written([head, answer(body)[1]], through_the_door=through_the_door)


def test_no_header_holds_another() -> None:
    with pytest.raises(RuntimeError, match="line break"):
        written(answer(b"", (b"x-model", b"a\r\nset-cookie: b")), through_the_door=True)
