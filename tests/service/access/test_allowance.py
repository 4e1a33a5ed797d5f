from __future__ import annotations

import pytest

from service.access.allowance import Allowance
from service.errors import BusyError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    clock = Clock()
    allowance = Allowance(per_minute=30, at_once=None, clock=clock)
    for _ in range(30):
        allowance.take()
    with pytest.raises(BusyError) as refused:
        allowance.take()
    assert refused.value.retry_after_s == pytest.approx(2.0)
    clock.now += 1.9
    with pytest.raises(BusyError):
        allowance.take()
    clock.now += 0.1
    allowance.take()
    clock.now += 3600
    for _ in range(30):
        allowance.take()
    with pytest.raises(BusyError):
        allowance.take()


def test_places_are_given_back() -> None:
    allowance = Allowance(per_minute=None, at_once=2, clock=Clock())
    allowance.take()
    allowance.take()
    with pytest.raises(BusyError, match="2 requests under way"):
        allowance.take()
    allowance.give_back()
    allowance.take()


def test_one_that_is_refused_takes_no_place_and_nothing_from_the_bucket() -> None:
    allowance = Allowance(per_minute=2, at_once=1, clock=Clock())
    allowance.take()
    for _ in range(5):
        with pytest.raises(BusyError, match="under way"):
            allowance.take()
    allowance.give_back()
    allowance.take()
