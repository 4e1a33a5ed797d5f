"""Which session lone samples run on, without a session."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from service.engine.backends.wide import MUST_SAVE, TRIALS, Widening

NARROW, WIDE = "narrow", "wide"


class Opening:
    """A session that opens when the test says so."""

    def __init__(self, *, fails: bool = False) -> None:
        self.begun: list[Callable[[], None]] = []
        self._fails = fails
        self.widening = Widening(NARROW, self._open, start=self.begun.append)

    def _open(self) -> str:
        if self._fails:
            raise MemoryError("no room")
        return WIDE

    def end(self) -> None:
        (open_,) = self.begun
        open_()

    def ask(self, **seconds: float) -> str:
        session = self.widening.session()
        self.widening.took(session, seconds[session])
        return session


def test_it_is_opened_aside_when_the_first_lone_sample_comes() -> None:
    opening = Opening()
    assert not opening.begun

    assert [opening.ask(narrow=1.0) for _ in range(5)] == [NARROW] * 5
    assert len(opening.begun) == 1


@pytest.mark.parametrize(
    ("wide_s", "best"),
    [(0.5, WIDE), (1 - MUST_SAVE + 0.01, NARROW), (2.0, NARROW)],
)
def test_both_are_tried_and_the_wide_one_stays_where_it_pays(wide_s: float, best: str) -> None:
    opening = Opening()
    opening.ask(narrow=1.0)
    opening.end()

    tried = [opening.ask(narrow=1.0, wide=wide_s) for _ in range(2 * TRIALS)]

    assert sorted(tried) == [NARROW] * TRIALS + [WIDE] * TRIALS
    assert [opening.ask(narrow=9.0, wide=9.0) for _ in range(3)] == [best] * 3


def test_the_fastest_run_of_each_counts() -> None:
    opening = Opening()
    opening.widening.session()
    opening.end()

    for wide_s in (9.0, 0.5, 9.0):
        assert opening.ask(narrow=1.0, wide=wide_s) == WIDE
        assert opening.ask(narrow=1.0, wide=wide_s) == NARROW

    assert opening.widening.session() == WIDE


def test_one_that_cannot_be_opened_is_not_asked_for_again() -> None:
    opening = Opening(fails=True)
    opening.widening.session()
    opening.end()

    assert [opening.ask(narrow=1.0) for _ in range(2 * TRIALS)] == [NARROW] * 2 * TRIALS
    assert len(opening.begun) == 1


def test_a_process_that_ends_waits_for_what_is_being_opened() -> None:
    """The runtime's threads would otherwise run on while the process is taken down."""
    code = """
import time
from service.engine.backends.wide import Widening
def open_wide():
    time.sleep(0.3)
    print("opened", flush=True)
Widening("narrow", open_wide).session()
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "opened\n"
