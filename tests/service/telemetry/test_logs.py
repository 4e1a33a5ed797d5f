from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from service.telemetry.logs import request_id, set_up_logs


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_is_one_object_a_line_with_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json", "info")
    token = request_id.set("abc")
    logging.getLogger("a.b").info("seen %d", 3, extra={"ms": 1.5})
    request_id.reset(token)
    logging.getLogger("a.b").debug("not at this level")
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert event.pop("time").endswith("+00:00")
    assert event == {
        "level": "info",
        "logger": "a.b",
        "message": "seen 3",
        "ms": 1.5,
        "request_id": "abc",
    }


def test_an_exception_stays_inside_its_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("json", "info")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: two\nlines" in json.loads(line)["exception"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("text", "info")
    logging.getLogger("x").warning("careful", extra={"model": "m:1"})
    assert "warning careful  model=m:1" in capsys.readouterr().err
