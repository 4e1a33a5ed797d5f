"""Open loops from a quarter of the capacity to far more than it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.contenders import Running
from benchmarks.results import Step, Sweep
from service.load.generator import Plan, generate

DEADLINE_MS = 500
CONCURRENCY = 32


def sweep(
    model: str,
    running: Running,
    *,
    loads: Sequence[float],
    step_s: float,
    tell: Callable[[Step], None],
) -> Sweep:
    """Rates are multiples of what a closed loop reaches just before."""
    first = _capacity(running, step_s)
    steps = []
    for number, load in enumerate(loads):
        rate = load * first
        plan = Plan(
            running.request,
            seconds=step_s,
            rate_per_s=rate,
            deadline_ms=DEADLINE_MS,
            seed=number,
        )
        steps.append(Step(model, load, rate, generate(plan)))
        tell(steps[-1])
    return Sweep(model, DEADLINE_MS, (first, _capacity(running, step_s)), tuple(steps))


def _capacity(running: Running, seconds: float) -> float:
    report = generate(Plan(running.request, seconds=seconds, concurrency=CONCURRENCY))
    return report.answered_per_s
