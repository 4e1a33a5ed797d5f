"""What a load generator saw, counted and in percentiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.load.connection import LOST

REFUSED = (429, 503)
EXPIRED = 504


@dataclass(frozen=True)
class Outcome:
    """One entry a request [N]: seconds of a monotonic clock, and the status, LOST without one."""

    due: NDArray[np.float64]
    sent: NDArray[np.float64]
    answered: NDArray[np.float64]
    status: NDArray[np.int64]


@dataclass(frozen=True)
class Report:
    """Latencies count from the moment at which a request was due.

    `answered` are the 200s, of which `late` came after the deadline; `goodput_per_s` counts the
    others. Every request is exactly one of answered, refused, expired, failed, lost.
    """

    seconds: float
    requests: int
    answered: int
    late: int
    refused: int
    expired: int
    failed: int
    lost: int
    failed_5xx: int
    answered_per_s: float
    goodput_per_s: float
    answered_ms: dict[str, float]
    refused_ms: dict[str, float]
    lag_ms: dict[str, float]
    """How much later than due the generator sent: its own share of every latency."""
    connections: int
    cpu_us: float
    """Of the generator, a request."""


def report_of(
    outcome: Outcome,
    *,
    seconds: float,
    started: float,
    deadline_ms: int,
    connections: int,
    cpu_s: float,
) -> Report:
    """Rates are over the `seconds` in which requests were sent, and count answers in that time.

    A backlog that is answered after the last request was sent would flatter the rate.
    """
    status = outcome.status
    latency_ms = (outcome.answered - outcome.due) * 1e3  # [N]
    answered = status == 200
    refused = np.isin(status, REFUSED)
    expired = status == EXPIRED
    lost = status == LOST
    failed = ~(answered | refused | expired | lost)
    late = answered & (latency_ms > deadline_ms) if deadline_ms else np.zeros_like(answered)
    in_time = outcome.answered <= started + seconds
    sent = outcome.sent > 0
    return Report(
        seconds=seconds,
        requests=len(status),
        answered=int(answered.sum()),
        late=int(late.sum()),
        refused=int(refused.sum()),
        expired=int(expired.sum()),
        failed=int(failed.sum()),
        lost=int(lost.sum()),
        failed_5xx=int((failed & (status >= 500)).sum()),
        answered_per_s=float((answered & in_time).sum() / seconds),
        goodput_per_s=float((answered & in_time & ~late).sum() / seconds),
        answered_ms=percentiles(latency_ms[answered]),
        refused_ms=percentiles(latency_ms[refused]),
        lag_ms=percentiles((outcome.sent - outcome.due)[sent] * 1e3),
        connections=connections,
        cpu_us=cpu_s * 1e6 / max(len(status), 1),
    )


def percentiles(values_ms: NDArray[np.float64]) -> dict[str, float]:
    """p50, p99 and max; empty if there is no value."""
    if not len(values_ms):
        return {}
    p50, p99 = np.percentile(values_ms, (50, 99))
    return {"p50": float(p50), "p99": float(p99), "max": float(values_ms.max())}
