"""`python -m benchmarks.generation`: what step batching does for prompts, and to other models.

Prompts of 5 to 50 steps come as a Poisson process. The same arrivals go to Panoptes, to the same
graphs behind a server that batches whole requests, and to one that paints them one by one. Then
/classify is measured alone, and beside a /generate that never rests.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import typer
from rich.console import Console

from benchmarks import generation_table, machine
from benchmarks.contenders import panoptes_server, settings_of
from benchmarks.generation_results import Beside, GenerationResults, Shift, StepCost
from benchmarks.generation_rival import Painter, Wish, providers_of
from benchmarks.picture import picture_jpeg
from benchmarks.process import ROOT, Server, free_port, serving
from benchmarks.results import RESULTS
from service.bundle import Bundle, read_bundle
from service.bundle.repository import FolderRepository
from service.engine.compute import Compute
from service.engine.cost import fastest_s
from service.load import generator
from service.load.request import raw
from service.settings import STARTER_PACK

QUICK_RESULTS = ROOT / "build" / "benchmarks"
STEPS = (5, 50)
MOST = 8
"""In a batch of the server that batches requests."""
PROMPTS = (
    "two red cubes beside a green ball",
    "a yellow cone",
    "three purple balls",
    "a cyan torus and an orange pyramid",
)
MOST_PROMPTS = 240
"""In one run: no more than a queue holds, however fast the model."""
NO_DEADLINE_MS = 3_600_000
SATURATING = 8
"""Prompts under way all the time beside /classify."""
CLASSIFY_PER_S = 20.0
GIVE_UP_S = 600.0
STEP_RUNS = 10
HERE = Compute()
console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Pace:
    loads: tuple[float, ...]
    """Arrivals over what the machine could paint one by one."""
    shift_s: float
    beside_s: float


FULL = Pace((0.7, 1.0, 1.3), 45.0, 30.0)
QUICK = Pace((0.8,), 10.0, 6.0)


@dataclass(frozen=True)
class Arrival:
    at_s: float
    wish: Wish


@dataclass(frozen=True)
class Contender:
    name: str
    server: Server
    counted: Callable[[], tuple[float, float]]
    """Runs of the step graph until now, and the samples in them."""


def main(
    quick: Annotated[bool, typer.Option(help="Short, for development")] = False,
    model: Annotated[str | None, typer.Option(help="Which painter [the first there is]")] = None,
    repository: Annotated[Path, typer.Option(help="Where it is looked for")] = STARTER_PACK,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the results [benchmarks/results]")
    ] = None,
) -> None:
    """Measure step batching beside request batching and none, and /classify beside /generate."""
    painter = find(repository, "generate", model)
    seer = find(STARTER_PACK, "classify", None)
    with tempfile.TemporaryDirectory(prefix="panoptes-benchmark-") as made:
        results = measure(painter, seer, Path(made), QUICK if quick else FULL, quick=quick)
    folder = out or (QUICK_RESULTS if quick else RESULTS)
    stored = results.write(folder)
    (folder / "generation.md").write_text(generation_table.markdown(results))
    console.print("\nwritten:", str(stored), str(folder / "generation.md"))


def measure(
    painter: Bundle,
    seer: Bundle,
    scratch: Path,
    pace: Pace,
    *,
    quick: bool,
    compute: Compute = HERE,
) -> GenerationResults:
    before = machine.this_machine()
    workers = len(compute.gpus) if compute.on_gpu else len(os.sched_getaffinity(0))
    cost = step_cost(painter, compute)
    capacity = workers / (cost.step_s[1] * sum(STEPS) / 2 + cost.rest_s)
    console.print(f"a step takes {cost.step_s[1] * 1e3:.1f} ms, so {capacity:.2f} images/s at most")
    repositories = [alone(bundle, scratch) for bundle in (painter, seer)]
    shifts = []
    for load_ in pace.loads:
        rate = load_ * capacity
        seconds = min(pace.shift_s, MOST_PROMPTS / rate)
        due = arrivals(rate, seconds, seed=round(load_ * 100))
        for start in (stepwise, requestwise, one_by_one):
            with start(painter, repositories[0], workers, scratch, compute) as contender:
                shifts.append(work_off(contender, due, load_, seconds))
                tell_shift(shifts[-1])
    beside = tuple(classify_beside(repositories, scratch, pace.beside_s, compute))
    return GenerationResults(
        started=dt.datetime.now().astimezone().isoformat(timespec="seconds"),
        command=" ".join(["python -m benchmarks.generation", *sys.argv[1:]]),
        machine=before,
        busy_cores_after=machine.busy_cores(),
        code=machine.this_code(),
        model=painter.manifest.ref,
        quick=quick,
        cost=cost,
        capacity_per_s=capacity,
        shifts=tuple(shifts),
        beside=beside,
    )


# -- contenders


@contextlib.contextmanager
def stepwise(
    painter: Bundle, repository: Path, workers: int, logs: Path, compute: Compute
) -> Iterator[Contender]:
    with panoptes_server([repository], logs, **settings_of(compute)) as server:
        lane = f'lane="{painter.manifest.ref}/step"'

        def counted() -> tuple[float, float]:
            lines = httpx.get(f"http://127.0.0.1:{server.port}/metrics").text.splitlines()
            values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
            return (
                float(values[f"panoptes_batch_size_count{{{lane}}}"]),
                float(values[f"panoptes_batch_size_sum{{{lane}}}"]),
            )

        yield Contender("Panoptes, step by step", server, counted)


@contextlib.contextmanager
def requestwise(
    painter: Bundle, repository: Path, workers: int, logs: Path, compute: Compute
) -> Iterator[Contender]:
    with rival(painter, MOST, workers, logs, compute) as server:
        yield Contender(f"whole requests, up to {MOST}", server, lambda: batches_of(server))


@contextlib.contextmanager
def one_by_one(
    painter: Bundle, repository: Path, workers: int, logs: Path, compute: Compute
) -> Iterator[Contender]:
    with rival(painter, 1, workers, logs, compute) as server:
        yield Contender("one by one", server, lambda: batches_of(server))


def rival(
    painter: Bundle, most: int, workers: int, logs: Path, compute: Compute
) -> contextlib.AbstractContextManager[Server]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.generation_rival", str(painter.folder)]
    command += [str(most), str(workers), str(port), compute.device, str(compute.gpus[0])]
    return serving("rival", command, port, health="/health", log=logs / "rival")


def batches_of(server: Server) -> tuple[float, float]:
    told = httpx.get(f"http://127.0.0.1:{server.port}/batches").json()
    return told["runs"], told["samples"]


# -- prompts that come


def arrivals(rate_per_s: float, seconds: float, *, seed: int) -> list[Arrival]:
    """Given their number, the moments of a Poisson process are uniform."""
    chance = np.random.default_rng(seed)
    moments = np.sort(chance.uniform(0, seconds, max(round(rate_per_s * seconds), 1)))
    return [
        Arrival(
            float(at),
            Wish(
                prompt=PROMPTS[int(chance.integers(len(PROMPTS)))],
                steps=int(chance.integers(STEPS[0], STEPS[1] + 1)),
                seed=int(chance.integers(2**31)),
            ),
        )
        for at in moments
    ]


def work_off(contender: Contender, due: Sequence[Arrival], load_: float, seconds: float) -> Shift:
    """Each prompt goes out when its time has come, and its latency counts from then."""
    runs, samples = contender.counted()
    latencies, took_s = asyncio.run(_send(contender.server.port, due))
    more_runs, more_samples = contender.counted()
    answered = np.array([latency for latency in latencies if latency is not None])
    p50, p95 = np.percentile(answered, (50, 95)) if len(answered) else (np.nan, np.nan)
    return Shift(
        server=contender.name,
        load=load_,
        seconds=seconds,
        images=len(due),
        failed=len(due) - len(answered),
        images_per_s=len(answered) / took_s,
        p50_s=float(p50),
        p95_s=float(p95),
        mean_s=float(answered.mean()) if len(answered) else float("nan"),
        mean_batch=(more_samples - samples) / max(more_runs - runs, 1),
    )


async def _send(port: int, due: Sequence[Arrival]) -> tuple[list[float | None], float]:
    """Seconds from the due time to the answer, and from the first to the last of them all."""
    # A connection each: one that was kept may be closed at the moment at which it is used again.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", timeout=GIVE_UP_S, limits=limits
    ) as client:
        started = time.perf_counter()

        async def one(arrival: Arrival) -> float | None:
            at = started + arrival.at_s
            await asyncio.sleep(max(at - time.perf_counter(), 0))
            try:
                answer = await _paint(client, arrival.wish)
            except httpx.HTTPError:
                return None
            return time.perf_counter() - at if answer.status_code == 200 else None

        latencies = await asyncio.gather(*(one(arrival) for arrival in due))
        return list(latencies), time.perf_counter() - started - due[0].at_s


async def _paint(client: httpx.AsyncClient, wish: Wish) -> httpx.Response:
    patient = {"X-Deadline-Ms": str(NO_DEADLINE_MS)}
    return await client.post("/generate", json=wish.model_dump(), headers=patient)


# -- /classify beside it


def classify_beside(
    repositories: Sequence[Path], scratch: Path, seconds: float, compute: Compute
) -> Iterator[Beside]:
    with panoptes_server(list(repositories), scratch, **settings_of(compute)) as server:
        request = raw(server.port, "/classify", picture_jpeg())
        plan = generator.Plan(request, seconds=seconds, rate_per_s=CLASSIFY_PER_S)
        generator.generate(dataclasses.replace(plan, seconds=min(seconds, 2.0)))  # warm
        for painting in (0, SATURATING):
            with saturated(server.port, painting):
                report = generator.generate(plan)
            yield Beside(painting, report)
            console.print(
                f"/classify beside {painting} prompts: p50 {report.answered_ms['p50']:.1f} ms, "
                f"p99 {report.answered_ms['p99']:.1f} ms"
            )


@contextlib.contextmanager
def saturated(port: int, prompts: int) -> Iterator[None]:
    """So many prompts under way until the block ends."""
    over = threading.Event()

    def paint(number: int) -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=GIVE_UP_S) as client:
            seed = number
            while not over.is_set():
                body = {"prompt": PROMPTS[seed % len(PROMPTS)], "steps": 30, "seed": seed}
                client.post("/generate", json=body, headers={"X-Deadline-Ms": str(NO_DEADLINE_MS)})
                seed += prompts

    threads = [threading.Thread(target=paint, args=(number,)) for number in range(prompts)]
    for thread in threads:
        thread.start()
    if prompts:
        time.sleep(2.0)  # until all of them step
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


# -- models


def find(repository: Path, task: str, name: str | None) -> Bundle:
    """The newest version of the model, or of the first that does the task."""
    folders = FolderRepository(repository)
    for ref in sorted(folders.list(), reverse=True):
        bundle = read_bundle(folders.fetch(ref))
        if bundle.manifest.task == task and name in (None, ref.name):
            return bundle
    raise typer.BadParameter(f"{repository} has no model for {task}", param_hint="--model")


def alone(bundle: Bundle, scratch: Path) -> Path:
    """A repository with this bundle only."""
    manifest = bundle.manifest
    repository = scratch / "models" / manifest.name
    (repository / manifest.name).mkdir(parents=True)
    (repository / manifest.name / str(manifest.version)).symlink_to(bundle.folder.resolve())
    return repository


def step_cost(bundle: Bundle, compute: Compute = HERE) -> StepCost:
    """Seconds of one core or GPU: a step by batch, and all of a picture that is no step."""
    painter = Painter(bundle, providers_of(compute.device, compute.gpus[0]))
    wish = Wish(prompt=PROMPTS[0], steps=1, seed=0)
    step_s = {
        batch: fastest_s(painter.stepping([wish] * batch), STEP_RUNS) for batch in (1, 2, 4, MOST)
    }
    return StepCost(step_s, max(fastest_s(lambda: painter.paint([wish]), 3) - step_s[1], 0.0))


def tell_shift(shift: Shift) -> None:
    console.print(
        f"{shift.load:4g} ×  {shift.server:26} {shift.images_per_s:6.2f} images/s  "
        f"p50 {shift.p50_s:6.2f} s  p95 {shift.p95_s:6.2f} s  batch {shift.mean_batch:.2f}"
        + f"  failed {shift.failed}"
        * bool(shift.failed)
    )


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app(prog_name="python -m benchmarks.generation")
