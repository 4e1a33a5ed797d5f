"""`python -m benchmarks.gpu`: everything that only a machine with a GPU can prove.

Every part that fails is reported, and the others go on; the exit status is 1 if any has failed.
"""

from __future__ import annotations

import datetime as dt
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import machine
from benchmarks.gpu import correctness, large, painting, serving, throughput
from benchmarks.gpu.context import Context
from benchmarks.gpu.report import Findings, GpuResults, Part, SkippedError
from benchmarks.process import ROOT
from benchmarks.results import RESULTS
from service.engine.backends.choose import check_compute
from service.engine.backends.gpus import GpuFound, NoDriverError, gpus
from service.engine.compute import KINDS, Compute, ComputeError
from service.settings import STARTER_PACK

QUICK_RESULTS = ROOT / "build" / "benchmarks"
console = Console(highlight=False, soft_wrap=True)

Check = Callable[[Context, Findings], None]
PARTS: Mapping[str, tuple[str, Check]] = {
    "correctness": (correctness.TITLE, correctness.check),
    "throughput": (throughput.TITLE, throughput.check),
    "serving": (serving.TITLE, serving.check),
    "painting": (painting.TITLE, painting.check),
    "large": (large.TITLE, large.check),
}


def main(
    device: Annotated[str, typer.Option(help="Compute on cuda, tensorrt or cpu")] = "cuda",
    gpu: Annotated[list[int] | None, typer.Option(help="Which GPU; may be given again")] = None,
    quick: Annotated[bool, typer.Option(help="Short windows: does it work at all?")] = False,
    with_large: Annotated[
        bool, typer.Option("--large", help="Large networks too: minutes each, and gigabytes")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help=f"Only this part, of {', '.join(PARTS)}")
    ] = None,
    repository: Annotated[Path, typer.Option(help="The bundles to check")] = STARTER_PACK,
    allow_cpu: Annotated[
        bool, typer.Option(help="Without a GPU take a GPU's path through the processor")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the results")] = None,
) -> None:
    """Check answers, throughput, serving and painting on a GPU."""
    kind = next((known for known in KINDS if known == device), None)
    if kind is None:
        raise typer.BadParameter(f"{device} is none of {', '.join(KINDS)}", param_hint="--device")
    if unknown := set(only or ()) - set(PARTS):
        raise typer.BadParameter(f"no part {unknown.pop()}", param_hint="--only")
    compute = Compute(device=kind, gpus=tuple(gpu or (0,)), allow_cpu=allow_cpu)
    try:
        check_compute(compute)
    except ComputeError as error:
        console.print(f"--device {device}: {error}", style="red", markup=False)
        raise typer.Exit(1) from None
    chosen = only or [name for name in PARTS if name != "large" or with_large]
    with tempfile.TemporaryDirectory(prefix="panoptes-gpu-") as made:
        context = Context(
            compute=compute,
            repository=repository,
            scratch=Path(made),
            cores=len(os.sched_getaffinity(0)),
            quick=quick,
            tell=lambda text: console.print(f"  {text}", markup=False),
        )
        results = run(context, chosen)
    short = quick or allow_cpu or not compute.on_gpu  # nobody should quote that
    told, stored = results.write(out or (QUICK_RESULTS if short else RESULTS))
    console.print("\nwritten:", str(told), str(stored))
    if not results.passed:
        raise typer.Exit(1)


def run(context: Context, names: list[str]) -> GpuResults:
    started = dt.datetime.now().astimezone().isoformat(timespec="seconds")
    here = machine.this_machine()
    gpu_name = here.processor
    if context.compute.on_gpu:
        found = {each.index: each.name for each in _gpus()}
        missing = f"no GPU, {here.processor}"
        gpu_name = " + ".join(found.get(index, missing) for index in context.compute.gpus)
    return GpuResults(
        started=started,
        command=" ".join(["python -m benchmarks.gpu", *sys.argv[1:]]),
        device=context.compute.device,
        gpu=gpu_name,
        driver=_driver(),
        machine=here,
        code=machine.this_code(),
        quick=context.quick,
        parts=tuple(_part(context, name) for name in names),
    )


def _part(context: Context, name: str) -> Part:
    title, check = PARTS[name]
    console.rule(title)
    findings, started = Findings(), time.perf_counter()

    def part(state: str) -> Part:
        seconds = time.perf_counter() - started
        assert state in ("passed", "failed", "skipped")
        return findings.part(name, title, state, seconds)  # type: ignore[arg-type]

    try:
        check(context, findings)
    except SkippedError as error:
        findings.notes.append(f"Skipped: {error}.")
        done = part("skipped")
    except Exception as error:  # the other parts go on
        findings.failures.append(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}")
        done = part("failed")
    else:
        done = part("passed")
    for failure in done.failures:
        console.print(f"  failed: {failure}", style="red", markup=False)
    console.print(f"  {done.state} after {done.seconds:.0f} s")
    return done


def _gpus() -> list[GpuFound]:
    try:
        return list(gpus())
    except NoDriverError:
        return []


def _driver() -> str:
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
    except OSError:
        return ""
    words = text.split("\n")[0].split()
    return next((word for word in words if word[:1].isdigit() and "." in word), "")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app(prog_name="python -m benchmarks.gpu")
