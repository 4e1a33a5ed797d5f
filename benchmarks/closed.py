"""Closed loops: so many clients, each of which asks again as soon as it is answered."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

from benchmarks.ceiling import CeilingProcess
from benchmarks.contenders import Running
from benchmarks.results import CeilingWindow, Window
from benchmarks.wrk import Closed, closed_loop, have_wrk
from service.load.generator import Plan, generate
from service.load.request import Request

WARM_UP_S = 1.0
LEFT_OVER_S = 10.0
"""The most to wait for a server that has lost its clients."""
LOOK_S = 0.2
QUIET_SHARE = 0.1
"""Of a core."""
Drive = Callable[[Request, int, float], Closed]


def client() -> tuple[str, Drive]:
    """The best generator that is installed, by name."""
    return ("wrk", closed_loop) if have_wrk() else ("panoptes bench", _with_our_own)


def measure(
    model: str,
    contenders: Sequence[Running],
    ceiling: CeilingProcess,
    *,
    concurrencies: Sequence[int],
    number: int,
    window_s: float,
    enough: int = 0,
) -> Iterator[Window | CeilingWindow]:
    """One round: the ceiling, a server, the ceiling again, the next server, and so on: a machine
    that drifts does so for all.

    Every other round goes backwards: who comes first changes. Windows last longer than `window_s`
    where the ceiling would not do `enough` in that time: what is under way at their end has cost
    time and does not count.
    """
    _, drive = client()
    for running in contenders:
        drive(running.request, 8, WARM_UP_S)
    seconds = max(window_s, math.ceil(enough / ceiling.window(WARM_UP_S).samples_per_s))
    for concurrency in concurrencies:
        before = CeilingWindow(model, concurrency, number, ceiling.window(seconds / 2))
        yield before
        for running in contenders[:: -1 if number % 2 else 1]:
            cpu_s = running.server.cpu_s()
            seen = drive(running.request, concurrency, seconds)
            cpu_s = running.server.cpu_s() - cpu_s
            _until_quiet(running)
            after = CeilingWindow(model, concurrency, number, ceiling.window(seconds / 2))
            yield _window(seen, running.server.name, cpu_s, before, after)
            yield after
            before = after


def _until_quiet(running: Running) -> None:
    """A server that does not notice that its clients are gone works on for them, and would take
    its cores from whoever is measured next."""
    ends = time.monotonic() + LEFT_OVER_S
    while time.monotonic() < ends:
        cpu_s = running.server.cpu_s()
        time.sleep(LOOK_S)
        if running.server.cpu_s() - cpu_s < QUIET_SHARE * LOOK_S:
            return


def _window(
    seen: Closed, server: str, cpu_s: float, before: CeilingWindow, after: CeilingWindow
) -> Window:
    return Window(
        server=server,
        model=before.model,
        concurrency=before.concurrency,
        round=before.round,
        requests=seen.requests,
        requests_per_s=(seen.requests - seen.errors) / seen.seconds,
        ceiling_per_s=(before.ceiling.samples_per_s + after.ceiling.samples_per_s) / 2,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        max_ms=seen.max_ms,
        errors=seen.errors,
        server_cpu_us=cpu_s * 1e6 / max(seen.requests, 1),
        client_cpu_us=seen.client_cpu_us,
    )


def _with_our_own(request: Request, concurrency: int, seconds: float) -> Closed:
    report = generate(Plan(request, seconds=seconds, concurrency=concurrency))
    latency = report.answered_ms or {"p50": 0.0, "p99": 0.0, "max": 0.0}
    return Closed(
        requests=report.requests,
        seconds=report.seconds,
        p50_ms=latency["p50"],
        p99_ms=latency["p99"],
        max_ms=latency["max"],
        errors=report.requests - report.answered,
        client_cpu_us=report.cpu_us,
    )
