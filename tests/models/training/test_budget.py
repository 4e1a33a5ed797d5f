import os
import signal

import pytest

from models.training.budget import Budget, StopSignals


def test_steps_alone_measure_progress() -> None:
    budget = Budget(10)
    budget.start()
    assert [budget.progress(step) for step in (0, 5, 10, 12)] == [0.0, 0.5, 1.0, 1.0]


def test_whichever_ends_first_measures_progress() -> None:
    now_s = 100.0
    budget = Budget(10, minutes=2.0, clock=lambda: now_s)
    budget.start()
    now_s = 160.0
    assert budget.progress(1) == 0.5
    assert budget.progress(8) == 0.8


def test_time_before_a_resume_counts() -> None:
    budget = Budget(100, minutes=1.0, clock=lambda: 0.0)
    budget.start(spent_s=45.0)
    assert budget.progress(0) == 0.75 and budget.elapsed_s == 45.0


def test_processor_time_is_a_clock_too() -> None:
    budget = Budget(10, minutes=1.0, clock="process")
    budget.start()
    assert 0 <= budget.elapsed_s < 5


def test_no_minutes_are_refused() -> None:
    with pytest.raises(ValueError, match="minutes"):
        Budget(10, minutes=0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_first_signal_asks_and_a_second_one_is_the_old_handlers(number: signal.Signals) -> None:
    seen: list[int] = []
    before = signal.signal(number, lambda n, frame: seen.append(n))
    try:
        with StopSignals() as signals:
            assert signals.received is None
            os.kill(os.getpid(), number)
            assert signals.received == number and not seen
            os.kill(os.getpid(), number)
            assert seen == [number]
        os.kill(os.getpid(), number)
        assert seen == [number, number]
    finally:
        signal.signal(number, before)
