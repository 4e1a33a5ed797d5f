"""What a run of `benchmarks.generation` measured, as it is stored."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks.machine import Code, Machine
from service.load.latency import Report


@dataclass(frozen=True)
class StepCost:
    """Seconds of one core."""

    step_s: dict[int, float]
    """A run of the step graph, by batch."""
    rest_s: float
    """Text, decoder and PNG of one picture."""


@dataclass(frozen=True)
class Shift:
    """One server, and the prompts that came to it."""

    server: str
    load: float
    seconds: float
    images: int
    failed: int
    images_per_s: float
    """From the first arrival to the last answer."""
    p50_s: float
    p95_s: float
    mean_s: float
    mean_batch: float
    """Samples in a run of the step graph."""


@dataclass(frozen=True)
class Beside:
    """/classify in an open loop, with so many prompts under way all the time."""

    painting: int
    report: Report


@dataclass(frozen=True)
class GenerationResults:
    started: str
    command: str
    machine: Machine
    busy_cores_after: float
    code: Code
    model: str
    quick: bool
    cost: StepCost
    capacity_per_s: float
    shifts: tuple[Shift, ...]
    beside: tuple[Beside, ...]

    @property
    def quiet(self) -> bool:
        return max(self.machine.busy_cores, self.busy_cores_after) <= 0.1

    @property
    def added_ms(self) -> float:
        """What a saturated /generate adds to the 99th percentile of /classify."""
        alone, beside = (each.report.answered_ms["p99"] for each in self.beside)
        return beside - alone

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        day = dt.datetime.fromisoformat(self.started).date().isoformat()
        quick = "-quick" if self.quick else ""
        path = folder / f"{day}-{self.machine.slug}-generation{quick}.json"
        options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
        path.write_bytes(orjson.dumps(dataclasses.asdict(self), option=options) + b"\n")
        return path
