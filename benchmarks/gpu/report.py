"""What each part of the check found, as it is stored and as people read it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import orjson

from benchmarks.machine import Code, Machine
from benchmarks.table import table

Cell = str | int | float | bool | None
Row = Mapping[str, Cell]
State = Literal["passed", "failed", "skipped"]


class SkippedError(Exception):
    """A part cannot be done here; the message says what is missing."""


@dataclass(frozen=True)
class Part:
    """`failures` are what did not hold; a part with any has failed, whatever else it measured."""

    name: str
    title: str
    state: State
    seconds: float
    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


@dataclass
class Findings:
    """Filled by a part as it goes, so that what was found before it broke is kept."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def part(self, name: str, title: str, state: State, seconds: float) -> Part:
        return Part(
            name,
            title,
            "failed" if self.failures else state,
            seconds,
            tuple(self.rows),
            tuple(self.notes),
            tuple(self.failures),
        )


@dataclass(frozen=True)
class GpuResults:
    started: str
    command: str
    device: str
    """As the settings call it: cpu, cuda or tensorrt."""
    gpu: str
    """What it is: the GPU's name, or the processor's."""
    driver: str
    machine: Machine
    code: Code
    quick: bool
    parts: tuple[Part, ...]

    @property
    def passed(self) -> bool:
        return all(part.state != "failed" for part in self.parts)

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.gpu.lower()).strip("-")

    def write(self, folder: Path) -> tuple[Path, Path]:
        folder.mkdir(parents=True, exist_ok=True)
        told, stored = folder / f"{self.slug}.md", folder / f"{self.slug}.json"
        told.write_text(markdown(self))
        stored.write_bytes(orjson.dumps(dataclasses.asdict(self), option=orjson.OPT_INDENT_2))
        return told, stored


def markdown(results: GpuResults) -> str:
    return (
        "\n\n".join([*_about(results), *(line for p in results.parts for line in _part(p))]) + "\n"
    )


def _about(results: GpuResults) -> Iterator[str]:
    machine, code = results.machine, results.code
    yield f"# {results.gpu}, checked"
    if results.quick:
        yield "**A quick run: it shows what works, and its figures should not be quoted.**"
    versions = ", ".join(f"{name} {version}" for name, version in code.versions.items())
    yield (
        f"{results.started[:16].replace('T', ' ')}, `{results.command}`. Device `{results.device}`"
        f"{', driver ' * bool(results.driver)}{results.driver}; {machine.processor}, "
        f"{machine.cores} cores, {machine.memory_gb:.0f} GB, {machine.system}. Commit "
        f"`{code.commit}`{' with changes' * code.modified}, Python {code.python}, {versions}."
    )
    yield table(
        ["part", "state", "seconds", "what did not hold"],
        [
            [part.name, part.state, f"{part.seconds:.0f}", "; ".join(part.failures) or "–"]
            for part in results.parts
        ],
    )


def _part(part: Part) -> Iterator[str]:
    yield f"## {part.title}"
    yield from part.notes
    if part.rows:
        header = list(dict.fromkeys(name for row in part.rows for name in row))
        yield table(header, [[_told(row.get(name)) for name in header] for row in part.rows])
    elif part.state == "passed":
        yield "Nothing to measure."


def _told(cell: Cell) -> str:
    match cell:
        case None:
            return "–"
        case bool():
            return "yes" if cell else "**no**"
        case float():
            return f"{cell:.3g}" if abs(cell) < 1000 else f"{cell:.0f}"
        case _:
            return str(cell).replace("|", "\\|").replace("\n", " ")
