"""What a run measured, as it is stored."""

from __future__ import annotations

import dataclasses
import datetime as dt
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.ceiling import Ceiling
from benchmarks.machine import Code, Machine
from benchmarks.process import Memory
from service.load.latency import Report

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Window:
    """One server under a closed loop, for a few seconds."""

    server: str
    model: str
    concurrency: int
    round: int
    requests: int
    requests_per_s: float
    ceiling_per_s: float
    """Of the moments right before and right after."""
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: int
    server_cpu_us: float
    """A request."""
    client_cpu_us: float


@dataclass(frozen=True)
class CeilingWindow:
    """Between the servers' windows of the same round and concurrency."""

    model: str
    concurrency: int
    round: int
    ceiling: Ceiling


@dataclass(frozen=True)
class Step:
    """One rate of an open loop."""

    model: str
    load: float
    """The offered rate over the capacity."""
    offered_per_s: float
    report: Report


@dataclass(frozen=True)
class Sweep:
    """Rates from little to far too much, between two measurements of the capacity."""

    model: str
    deadline_ms: int
    capacity_per_s: tuple[float, ...]
    """Of closed loops by the same generator, before and after."""
    steps: tuple[Step, ...]

    @property
    def capacity(self) -> float:
        return statistics.mean(self.capacity_per_s)


@dataclass(frozen=True)
class Footprint:
    """The server as it starts with the models that it ships with."""

    models: tuple[str, ...]
    starter: bool
    """False if there was no starter pack and the benchmark's own models stood in for it."""
    ready_s: tuple[float, ...]
    idle: Memory
    loaded: Memory
    """After requests to every model."""


@dataclass(frozen=True)
class Results:
    started: str
    command: str
    machine: Machine
    code: Code
    client: str
    picture_bytes: int
    quick: bool
    windows: tuple[Window, ...] = ()
    ceilings: tuple[CeilingWindow, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    footprint: Footprint | None = None
    notes: tuple[str, ...] = ()
    seconds: float = field(default=0.0)

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(window.model for window in self.windows))

    @property
    def servers(self) -> list[str]:
        return list(dict.fromkeys(window.server for window in self.windows))

    @property
    def concurrencies(self) -> list[int]:
        return sorted({window.concurrency for window in self.windows})

    def windows_of(self, server: str, model: str, concurrency: int) -> list[Window]:
        return [
            w
            for w in self.windows
            if (w.server, w.model, w.concurrency) == (server, model, concurrency)
        ]

    def median(
        self, server: str, model: str, concurrency: int, figure: Callable[[Window], float]
    ) -> float:
        return _median(figure(w) for w in self.windows_of(server, model, concurrency))

    def ceiling(self, model: str) -> float:
        return _median(c.ceiling.samples_per_s for c in self.ceilings if c.model == model)

    def ratio(self, server: str, model: str, concurrency: int) -> float:
        """Of the ceiling right before and right after each window; the median of all rounds, so
        that a neighbour who disturbs one does not count."""
        return self.median(server, model, concurrency, lambda w: w.requests_per_s / w.ceiling_per_s)

    def write(self, folder: Path) -> Path:
        """As JSON, under a name that says when and where."""
        folder.mkdir(parents=True, exist_ok=True)
        day = dt.datetime.fromisoformat(self.started).date().isoformat()
        quick = "-quick" if self.quick else ""
        path = folder / f"{day}-{self.machine.slug}{quick}.json"
        path.write_bytes(orjson.dumps(dataclasses.asdict(self), option=orjson.OPT_INDENT_2) + b"\n")
        return path


def _median(values: Iterable[float]) -> float:
    known: Sequence[float] = list(values)
    return statistics.median(known) if known else float("nan")
