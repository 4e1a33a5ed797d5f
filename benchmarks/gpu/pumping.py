"""Samples a second of something that runs batches, asked from several threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    samples_per_s: float
    batch_ms: float
    """Of one batch, waiting included."""


def pump(run: Callable[[], object], batch: int, *, threads: int, seconds: float) -> Rate:
    """After one run that may allocate. What a thread raises ends it, and is raised again."""
    run()
    counts, errors = [0] * threads, list[Exception]()
    ends = time.perf_counter() + seconds

    def loop(index: int) -> None:
        try:
            while time.perf_counter() < ends:
                run()
                counts[index] += 1
        except Exception as error:
            errors.append(error)

    started = time.perf_counter()
    pumps = [threading.Thread(target=loop, args=(index,)) for index in range(threads)]
    for each in pumps:
        each.start()
    for each in pumps:
        each.join()
    if errors:
        raise errors[0]
    took_s, runs = time.perf_counter() - started, max(sum(counts), 1)
    return Rate(runs * batch / took_s, took_s * threads / runs * 1e3)
