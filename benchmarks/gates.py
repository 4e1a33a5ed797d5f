"""What the server promises of its speed, held against what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.results import Results, Step, Sweep

OURS, NAIVE = "Panoptes", "naive FastAPI"
CEILING_SHARE = 0.95
CEILING_SHARE_OF_TINY = 0.90
TAIL = 1.5
OVERLOAD = 4.0
GOODPUT_SHARE = 0.9
REFUSAL_MS = 50.0
TOO_LATE_SHARE = 0.01
READY_S = 2.0
RSS_MB = 200.0
BUSY = 32


@dataclass(frozen=True)
class Gate:
    promise: str
    measured: str
    met: bool


def check(results: Results) -> list[Gate]:
    """Only of what this run measured."""
    return [*_throughput(results), *_overload(results), *_footprint(results)]


def _throughput(results: Results) -> Iterator[Gate]:
    for model in results.models:
        share = CEILING_SHARE_OF_TINY if model == "tiny" else CEILING_SHARE
        ratio = results.ratio(OURS, model, BUSY)
        promise = f"{model}: ≥ {share:.2f} of the ceiling at c{BUSY}"
        yield Gate(promise, f"{ratio:.3f}", ratio >= share)
        if results.windows_of(NAIVE, model, 1):
            ours, naive = (
                results.median(server, model, 1, lambda w: w.requests_per_s)
                for server in (OURS, NAIVE)
            )
            measured = f"{ours:.0f} and {naive:.0f} requests/s"
            yield Gate(f"{model}: alone not slower than the naive server", measured, ours >= naive)
        tail = results.median(OURS, model, BUSY, lambda w: w.p99_ms / max(w.p50_ms, 0.001))
        yield Gate(f"{model}: p99 ≤ {TAIL} × p50 at c{BUSY}", f"{tail:.2f} ×", tail <= TAIL)
        errors = sum(w.errors for w in results.windows if (w.server, w.model) == (OURS, model))
        yield Gate(f"{model}: no errors in closed loops", str(errors), errors == 0)


def _overload(results: Results) -> Iterator[Gate]:
    for sweep in results.sweeps:
        for step in sweep.steps:
            if step.load == OVERLOAD:
                yield from _at_overload(sweep, step)
        lost = sum(step.report.lost for step in sweep.steps)
        yield Gate(f"{sweep.model}: no request lost at any load", str(lost), lost == 0)
        failed = sum(step.report.failed for step in sweep.steps)
        yield Gate(f"{sweep.model}: no 5xx but 503 and 504", str(failed), failed == 0)


def _at_overload(sweep: Sweep, step: Step) -> Iterator[Gate]:
    where = f"{sweep.model} at {OVERLOAD:.0f} × capacity"
    share = step.report.goodput_per_s / sweep.capacity
    yield Gate(
        f"{where}: goodput ≥ {GOODPUT_SHARE:.0%} of it",
        f"{share:.1%}",
        share >= GOODPUT_SHARE,
    )
    slowest = step.report.refused_ms.get("max", 0.0)
    p99 = step.report.refused_ms.get("p99", 0.0)
    yield Gate(
        f"{where}: every refusal within {REFUSAL_MS:.0f} ms",
        f"p99 {p99:.0f} ms, slowest {slowest:.0f} ms",
        slowest < REFUSAL_MS,
    )
    too_late = (step.report.late + step.report.expired) / max(step.report.requests, 1)
    yield Gate(
        f"{where}: ≤ {TOO_LATE_SHARE:.0%} admitted and then too late",
        f"{too_late:.1%}",
        too_late <= TOO_LATE_SHARE,
    )


def _footprint(results: Results) -> Iterator[Gate]:
    if (footprint := results.footprint) is None:
        return
    pack = "the starter pack" if footprint.starter else "the benchmark's models"
    ready_s = min(footprint.ready_s)
    yield Gate(f"ready within {READY_S:.0f} s with {pack}", f"{ready_s:.2f} s", ready_s <= READY_S)
    rss_mb = footprint.idle.rss_mb
    yield Gate(f"RSS ≤ {RSS_MB:.0f} MB with {pack}", f"{rss_mb:.0f} MB", rss_mb <= RSS_MB)
