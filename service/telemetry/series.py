"""Prometheus histograms and counters that cost a request almost nothing.

The client library's take a lock for each sum and each bucket at every value. Here a value is
appended to a deque, which needs no lock, and thousands are counted at once: when Prometheus asks,
or when many have come.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.utils import floatToGoString

FOLD_AT = 4096

Buckets = list[tuple[str, float]]
"""Cumulative counts by bound, as the exposition wants them."""


class Series:
    """The values under one set of labels."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = np.asarray(bounds, np.float64)
        self._waiting: deque[float] = deque()
        self._folding = threading.Lock()
        self._counts = np.zeros(len(bounds) + 1, np.int64)  # the last beyond every bound
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._waiting.append(value)
        if len(self._waiting) >= FOLD_AT:
            self._fold()

    def read(self) -> tuple[Buckets, float]:
        """The buckets, and the sum."""
        with self._folding:
            self._fold_locked()
            counts, total = np.cumsum(self._counts).tolist(), self._sum
        names = [*map(floatToGoString, self._bounds.tolist()), "+Inf"]
        return list(zip(names, counts, strict=True)), total

    def _fold(self) -> None:
        with self._folding:
            self._fold_locked()

    def _fold_locked(self) -> None:
        # Only those that are here now: others go on appending.
        values = np.array([self._waiting.popleft() for _ in range(len(self._waiting))])
        where = np.searchsorted(self._bounds, values, side="left")  # le: at most the bound
        self._counts += np.bincount(where, minlength=len(self._counts))
        self._sum += float(values.sum())


class Family(Collector):
    """A metric of many series; `labels` gives the one to observe into, to be kept."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        bounds: Sequence[float] = (),
        *,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._bounds = bounds
        self._series: dict[tuple[str, ...], Series] = {}
        self._adding = threading.Lock()
        if registry is not None:
            registry.register(self)

    def labels(self, *values: str) -> Series:
        with self._adding:
            if values not in self._series:
                self._series[values] = Series(self._bounds)
            return self._series[values]

    def _read(self) -> list[tuple[tuple[str, ...], Buckets, float]]:
        with self._adding:
            everyone = list(self._series.items())
        return [(values, *series.read()) for values, series in everyone]


class Histogram(Family):
    def collect(self) -> Iterable[Metric]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, buckets, total in self._read():
            family.add_metric(values, buckets, total)
        return [family]


class Counter(Family):
    """What is observed is added."""

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, _, total in self._read():
            family.add_metric(values, total)
        return [family]
