"""`python -m benchmarks`: every measurement, its table, its plots, its promises."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import closed, footprint, gates, machine, overload, peers, plots, table
from benchmarks.bundles import RECIPES, write_benchmark_bundle
from benchmarks.ceiling import ceiling
from benchmarks.contenders import Contender, Running, Subject, bare, naive, panoptes
from benchmarks.picture import picture_jpeg
from benchmarks.process import ROOT
from benchmarks.results import RESULTS, CeilingWindow, Results, Step, Sweep, Window
from service.bundle import BundleRef, parse_ref, read_bundle
from service.bundle.repository import FolderRepository
from service.settings import STARTER_PACK
from service.tasks import IMAGE_TASKS
from service.tasks.embed import TASK as EMBED

QUICK_RESULTS = ROOT / "build" / "benchmarks"
console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Pace:
    """How long to measure."""

    rounds: int
    window_s: float
    enough: int
    """Requests a window should have at least."""
    step_s: float
    loads: tuple[float, ...]
    load_s: float


FULL = Pace(3, 3.0, 300, 5.0, (0.25, 0.5, 0.75, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0), 3.0)
QUICK = Pace(1, 1.0, 0, 1.5, (0.5, 1.0, 4.0), 1.0)
CONCURRENCIES = (1, 8, 32)
QUIET_CORES = 0.1
STOLEN_SHARE = 0.02


def main(
    quick: Annotated[bool, typer.Option(help="Short windows, under a minute")] = False,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Compare with this model of --repository, not the two made for it"),
    ] = None,
    repository: Annotated[Path, typer.Option(help="Where --model is looked for")] = STARTER_PACK,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results [benchmarks/results]")
    ] = None,
    litserve_python: Annotated[
        Path,
        typer.Option(exists=True, help="An interpreter that has LitServe, if it is to be compared"),
    ] = Path(sys.executable),
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Of closed loops; figures are their medians")
    ] = None,
    load: Annotated[
        list[float] | None, typer.Option(help="Of the open loop, as multiples of the capacity")
    ] = None,
    gate: Annotated[bool, typer.Option(help="Exit with 1 if a promise is not met")] = False,
) -> None:
    """Measure the server beside the machine's ceiling and the server that people write first."""
    pace = QUICK if quick else FULL
    pace = dataclasses.replace(
        pace, rounds=rounds or pace.rounds, loads=tuple(load) if load else pace.loads
    )
    out = out or (QUICK_RESULTS if quick else RESULTS)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="panoptes-benchmark-") as made:
        scratch = Path(made)
        (scratch / "picture.jpg").write_bytes(picture_jpeg())
        if model:
            compared = [_subject_of(ref, repository, scratch) for ref in model]
            shipped = []
        else:
            compared = [_made_subject(name, scratch) for name in RECIPES]
            shipped = _starters(scratch)
        results = _measure(compared, shipped, scratch, pace, litserve_python, quick=quick)
    results = dataclasses.replace(
        results,
        seconds=time.perf_counter() - began,
        notes=(*results.notes, *_disturbances(results.machine.busy_cores, machine.busy_cores())),
    )
    _report(results, out)
    if gate and not all(promise.met for promise in gates.check(results)):
        raise typer.Exit(1)


def _measure(
    compared: list[Subject],
    shipped: list[Subject],
    scratch: Path,
    pace: Pace,
    litserve_python: Path,
    *,
    quick: bool,
) -> Results:
    """`compared` models beside other servers and under overload, `shipped` ones beside their
    ceilings and the least of servers."""
    others: list[Contender] = [naive]
    notes = []
    if peers.installed(litserve_python):
        others.append(functools.partial(peers.litserve, litserve_python))
    else:
        notes.append("LitServe is not installed here, and was not compared.")
    results = Results(
        started=dt.datetime.now().astimezone().isoformat(timespec="seconds"),
        command=" ".join(["python -m benchmarks", *sys.argv[1:]]).replace(
            str(litserve_python), litserve_python.name
        ),
        machine=machine.this_machine(),
        code=machine.this_code(),
        client=closed.client()[0],
        picture_bytes=(scratch / "picture.jpg").stat().st_size,
        quick=quick,
    )
    windows: list[Window | CeilingWindow] = []
    sweeps = []
    stolen_in_all = machine.Stolen()
    for subject in compared:
        console.rule(subject.name)
        # The others only know how to name what is in an image.
        beside = others if subject.bundle.manifest.task == "classify" else []
        windows += _closed_loops(subject, [panoptes, bare, *beside], scratch, pace)
        stolen = machine.Stolen()
        sweeps.append(_sweep(subject, scratch, pace))
        notes += _thefts(stolen.share(), f"the open loop of *{subject.name}*")
    for subject in shipped:
        console.rule(subject.name)
        windows += _closed_loops(subject, [panoptes, bare], scratch, pace)
    console.rule("start and memory")
    stand_ins = [subject.repository for subject in compared]
    notes += _thefts(stolen_in_all.share(), "the run")
    return dataclasses.replace(
        results,
        notes=tuple(notes),
        windows=tuple(w for w in windows if isinstance(w, Window)),
        ceilings=tuple(w for w in windows if isinstance(w, CeilingWindow)),
        sweeps=tuple(sweeps),
        footprint=footprint.footprint(stand_ins, compared[0].jpeg, scratch, load_s=pace.load_s),
    )


def _closed_loops(
    subject: Subject, contenders: list[Contender], scratch: Path, pace: Pace
) -> Iterator[Window | CeilingWindow]:
    """Every round starts the servers anew: one start may be a tenth faster than the next."""
    for number in range(pace.rounds):
        with contextlib.ExitStack() as stack:
            above = stack.enter_context(
                ceiling(scratch / "picture.jpg", subject.bundle.folder, subject.role)
            )
            running: list[Running] = [
                stack.enter_context(start(subject, scratch)) for start in contenders
            ]
            for window in closed.measure(
                subject.name,
                running,
                above,
                concurrencies=CONCURRENCIES,
                number=number,
                window_s=pace.window_s,
                enough=pace.enough,
            ):
                _tell_window(window)
                yield window


def _sweep(subject: Subject, scratch: Path, pace: Pace) -> Sweep:
    with panoptes(subject, scratch) as running:
        return overload.sweep(
            subject.name, running, loads=pace.loads, step_s=pace.step_s, tell=_tell_step
        )


def _disturbances(before: float, after: float) -> Iterator[str]:
    if max(before, after) > QUIET_CORES:
        yield (
            f"**the machine was not quiet**: others used {before:.2f} cores before the run and "
            f"{after:.2f} after. These figures should not be quoted."
        )


def _thefts(share: float, during: str) -> Iterator[str]:
    if share > STOLEN_SHARE:
        yield f"during {during} the host took {share:.0%} of the cores for others."


# -- models


def _made_subject(name: str, scratch: Path) -> Subject:
    repository = scratch / "models" / name
    bundle = write_benchmark_bundle(repository, RECIPES[name])
    return Subject(bundle, repository, (scratch / "picture.jpg").read_bytes(), "classify")


def _starters(scratch: Path) -> list[Subject]:
    """Every graph of the starter pack that answers a request by itself."""
    tasks = {EMBED, *(task.name for task in IMAGE_TASKS)}
    names = dict.fromkeys(ref.name for ref in FolderRepository(STARTER_PACK).list())
    subjects = [_subject_of(name, STARTER_PACK, scratch) for name in names]
    return [
        dataclasses.replace(subject, role=role)
        for subject in subjects
        if subject.bundle.manifest.task in tasks
        for role in subject.bundle.manifest.graphs
    ]


def _subject_of(ref: str, repository: Path, scratch: Path) -> Subject:
    """A model of some repository, alone in a repository of its own."""
    name, version = parse_ref(ref)
    known = [r for r in FolderRepository(repository).list() if r.name == name]
    chosen = max(known, default=None) if version is None else BundleRef(name, version)
    if chosen not in known:
        raise typer.BadParameter(f"{repository} has no {ref}", param_hint="--model")
    alone = scratch / "models" / str(chosen).replace(":", "-")
    (alone / name).mkdir(parents=True)
    folder = repository.resolve() / name / str(chosen.version)
    (alone / name / str(chosen.version)).symlink_to(folder)
    bundle = read_bundle(folder)
    role = next(iter(bundle.manifest.graphs))
    return Subject(bundle, alone, (scratch / "picture.jpg").read_bytes(), role)


# -- telling


def _tell_window(window: Window | CeilingWindow) -> None:
    if isinstance(window, CeilingWindow):
        rate, server, rest = window.ceiling.samples_per_s, "ceiling", ""
    else:
        rate, server = window.requests_per_s, window.server
        rest = f"  p50 {window.p50_ms:7.1f}  p99 {window.p99_ms:7.1f} ms"
        rest += f"  errors {window.errors}" * bool(window.errors)
    console.print(f"{window.model:20} c{window.concurrency:<3} {server:22} {rate:7.1f} /s{rest}")


def _tell_step(step: Step) -> None:
    report = step.report
    console.print(
        f"{step.model:20} {step.load:4g} × {step.offered_per_s:7.1f} /s  goodput "
        f"{report.goodput_per_s:7.1f} /s  late {report.late}  refused {report.refused}  "
        f"expired {report.expired}  failed {report.failed}  lost {report.lost}  "
        f"(generator: {report.cpu_us:.0f} µs a request)"
    )


def _report(results: Results, out: Path) -> None:
    stored = results.write(out)
    drawn = plots.draw(results, out)
    latest = out / "latest.md"
    latest.write_text(table.markdown(results, plots=[path.name for path in drawn]))
    for note in results.notes:
        console.print(f"note: {note}")
    for promise in gates.check(results):
        mark = "[green]met    [/]" if promise.met else "[red]not met[/]"
        console.print(f"{mark} {promise.promise}: {promise.measured}")
    console.print("\nwritten:", *(str(path) for path in (stored, latest, *drawn)))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app(prog_name="python -m benchmarks")
