"""The benchmark's own pieces against real servers: what it counts and times must be true."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import closed, gates, machine, plots, table
from benchmarks.bundles import RECIPES, write_benchmark_bundle
from benchmarks.ceiling import Ceiling, ceiling
from benchmarks.contenders import Contender, Subject, bare, panoptes
from benchmarks.overload import sweep
from benchmarks.picture import picture_jpeg
from benchmarks.process import Memory
from benchmarks.results import CeilingWindow, Footprint, Results, Window
from benchmarks.work import work_of
from benchmarks.wrk import Closed
from service.bundle import Bundle, read_bundle
from service.bundle.repository import FolderRepository
from service.load.generator import Plan, generate
from service.load.request import Request, multipart, raw
from service.settings import STARTER_PACK
from service.tasks import IMAGE_TASKS
from tests.bundles import write_tiny_classifier
from tests.serving import Running, running
from tests.towers import write_tiny_clip

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REQUEST_BYTES = 4096
MACHINE = machine.Machine("none", cores=2, memory_gb=1.0, system="Linux", busy_cores=0.0)


@pytest.fixture(scope="module")
def jpeg() -> bytes:
    return picture_jpeg()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    repository = tmp_path_factory.mktemp("repository")
    write_tiny_classifier(repository)
    with running(repository) as started:
        yield started


def port_of(server: Running) -> int:
    return int(server.url.rpartition(":")[2])


def test_picture_is_the_same_photograph_sized_file_every_time(jpeg: bytes) -> None:
    assert jpeg == picture_jpeg()
    assert 60_000 < len(jpeg) < 80_000


def test_closed_loop_counts_what_the_server_counts(server: Running, jpeg: bytes) -> None:
    before = _answered(server)
    report = generate(Plan(raw(port_of(server), "/classify", jpeg), seconds=0.5, concurrency=4))
    assert report.requests == report.answered > 0
    assert _answered(server) - before == report.requests
    assert report.connections == 4


def test_open_loop_sends_what_was_planned(server: Running, jpeg: bytes) -> None:
    request = multipart(port_of(server), "/classify", jpeg)
    report = generate(Plan(request, seconds=0.8, rate_per_s=50, deadline_ms=5000))
    assert report.requests == 40
    assert _sum_of_outcomes(report) == 40
    assert report.answered == 40


def test_deadlines_that_cannot_be_met_are_counted_as_refused_or_expired(
    server: Running, jpeg: bytes
) -> None:
    request = raw(port_of(server), "/classify", jpeg)
    report = generate(Plan(request, seconds=0.3, rate_per_s=400, deadline_ms=1))
    assert report.requests == _sum_of_outcomes(report) == 120
    assert report.goodput_per_s <= report.answered_per_s
    assert report.failed == report.lost == 0


def test_latency_counts_from_the_scheduled_arrival() -> None:
    """A server that stalls for its first 0.6 s: who was due at t waited 0.6 s - t."""
    stall_s, seconds = 0.6, 1.0

    with _stub(stall_s=stall_s) as port:
        request = Request(port, "/", "image/jpeg", bytes(REQUEST_BYTES))
        report = generate(Plan(request, seconds=seconds, rate_per_s=300, deadline_ms=300))
    assert report.answered == 300
    # Due in the first 0.3 s: later than the deadline. A closed loop would have seen a few.
    assert report.late == pytest.approx(300 * (stall_s - 0.3) / seconds, rel=0.35)
    assert report.answered_ms["max"] == pytest.approx(stall_s * 1e3, rel=0.35)


def test_a_connection_that_ends_without_an_answer_is_a_lost_request() -> None:
    with _stub(hangs_up=True) as port:
        request = Request(port, "/", "image/jpeg", bytes(REQUEST_BYTES))
        report = generate(Plan(request, seconds=0.2, rate_per_s=50))
    assert report.lost == report.requests == 10


def test_a_run_is_written_as_table_and_plots(tmp_path: Path, jpeg: bytes) -> None:
    picture = tmp_path / "picture.jpg"
    picture.write_bytes(jpeg)
    repository = tmp_path / "repository"
    bundle = write_benchmark_bundle(repository, RECIPES["tiny"])
    subject = Subject(bundle, repository, jpeg, "classify")
    with (
        ceiling(picture, bundle.folder, "classify") as above,
        panoptes(subject, tmp_path) as contender,
    ):
        windows = list(
            closed.measure(
                "tiny",
                [contender],
                above,
                concurrencies=(4,),
                number=0,
                window_s=1,
            )
        )
        swept = sweep("tiny", contender, loads=(4.0,), step_s=0.4, tell=lambda step: None)
        memory = contender.server.memory()
    results = Results(
        started="2025-01-01T00:00:00+00:00",
        command="test",
        machine=MACHINE,
        code=machine.this_code(),
        client=closed.client()[0],
        picture_bytes=len(jpeg),
        quick=True,
        windows=tuple(w for w in windows if isinstance(w, Window)),
        ceilings=tuple(w for w in windows if isinstance(w, CeilingWindow)),
        sweeps=(swept,),
        footprint=Footprint(("tiny:1",), False, (1.0, 0.5), memory, memory),
    )
    assert [w.concurrency for w in results.windows] == [4]
    assert all(w.requests > 0 and w.errors == 0 for w in results.windows)
    assert memory.rss_mb >= memory.pss_mb > 20
    assert results.write(tmp_path).stat().st_size > 1000
    drawn = plots.draw(results, tmp_path)
    assert [path.name for path in drawn] == ["closed-loop.png", "overload.png"]
    text = table.markdown(results, plots=[path.name for path in drawn])
    for row in ("| tiny | Panoptes |", "| tiny | ceiling, no HTTP |", "| 4 × |", "## Promises"):
        assert row in text


@pytest.mark.parametrize("task", [task.name for task in IMAGE_TASKS])
def test_the_ceiling_asks_a_graph_what_a_request_would(task: str, jpeg: bytes) -> None:
    for bundle in _starters(task):
        work_of(bundle, task)(jpeg)


@pytest.mark.parametrize("start", [panoptes, bare])
def test_both_towers_are_asked(start: Contender, tmp_path: Path, jpeg: bytes) -> None:
    repository = tmp_path / "repository"
    bundle = write_tiny_clip(repository)
    for role in ("image", "text"):
        subject = Subject(bundle, repository, jpeg, role)
        assert subject.name == f"{bundle.manifest.name}/{role}"
        with start(subject, tmp_path) as contender:
            report = generate(Plan(contender.request, seconds=0.3, concurrency=2))
            assert report.answered == report.requests > 0


def test_machine_sees_this_process_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SAMPLE_S", 0.4)
    working = threading.Event()
    thread = threading.Thread(target=lambda: all(not working.is_set() for _ in iter(int, 1)))
    thread.start()
    try:
        assert machine.this_machine().busy_cores > 0.2
    finally:
        working.set()
        thread.join()


def test_what_a_host_takes_away_is_a_share_of_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks, seconds = [*[0] * 7, 500], [10.0]
    monkeypatch.setattr(machine, "_ticks", lambda: list(ticks))
    monkeypatch.setattr(time, "perf_counter", lambda: seconds[0])
    stolen = machine.Stolen()
    ticks[-1] += (os.cpu_count() or 1) * os.sysconf("SC_CLK_TCK")
    seconds[0] += 4.0
    assert stolen.share() == pytest.approx(1 / 4)


def test_gates_say_what_was_missed() -> None:
    results = dataclasses.replace(
        _results(), windows=(_window(90.0, of=100.0),), footprint=_footprint(250)
    )
    met = {gate.promise: gate.met for gate in gates.check(results)}
    assert met["mid: ≥ 0.95 of the ceiling at c32"] is False
    assert met["mid: p99 ≤ 1.5 × p50 at c32"] is True
    assert met["RSS ≤ 200 MB with the starter pack"] is False


@pytest.mark.parametrize(("per_s", "seconds"), [(1000.0, 3.0), (47.0, 7.0)])
def test_windows_of_a_slow_model_last_longer(
    per_s: float, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceilings: list[float] = []
    servers: list[float] = []

    def compute(seconds: float) -> Ceiling:
        ceilings.append(seconds)
        return Ceiling(per_s, cpu_us=1.0, threads=2)

    def drive(request: Request, concurrency: int, seconds: float) -> Closed:
        servers.append(seconds)
        return Closed(1, seconds, 1.0, 1.0, 1.0, errors=0, client_cpu_us=1.0)

    monkeypatch.setattr(closed, "client", lambda: ("a stub", drive))
    _measure_stubs(cpu_s=lambda: 0.0, compute=compute)
    assert servers[-1] == seconds
    assert ceilings[-2:] == [seconds / 2] * 2


def test_the_next_is_measured_when_what_the_last_left_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closed.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(
        closed, "client", lambda: ("a stub", lambda *_: Closed(1, 1.0, 1.0, 1.0, 1.0, 0, 1.0))
    )
    busy = iter([0.0, 0.1, 0.1, 0.3, 0.3, 0.3, 0.3])  # before, after, and three looks at it
    windows = _measure_stubs(
        cpu_s=lambda: next(busy), compute=lambda seconds: Ceiling(100.0, cpu_us=1.0, threads=2)
    )
    assert len(windows) == 3
    assert isinstance(windows[1], Window)
    assert windows[1].ceiling_per_s == 100.0
    assert list(busy) == [0.3]


def test_ratio_is_that_of_undisturbed_windows() -> None:
    """The machine slows from round to round, and a neighbour disturbs one of the windows; the ratio
    stays."""
    results = dataclasses.replace(
        _results(),
        windows=(
            _window(90.0, of=100.0),
            _window(54.0, of=60.0, number=1),
            _window(27.0, of=60.0, number=2),
        ),
    )
    assert results.ratio("Panoptes", "mid", 32) == pytest.approx(0.9)


# --


def _measure_stubs(
    *, cpu_s: Callable[[], float], compute: Callable[[float], Ceiling]
) -> list[Window | CeilingWindow]:
    """A round at one client, of a server and a ceiling that are not there."""
    server: Any = SimpleNamespace(request=None, server=SimpleNamespace(name="a stub", cpu_s=cpu_s))
    above: Any = SimpleNamespace(window=compute)
    windows = closed.measure(
        "any", [server], above, concurrencies=(1,), number=0, window_s=3.0, enough=300
    )
    return list(windows)


def _starters(task: str) -> Iterator[Bundle]:
    for ref in FolderRepository(STARTER_PACK).list():
        bundle = read_bundle(FolderRepository(STARTER_PACK).fetch(ref))
        if bundle.manifest.task == task:
            yield bundle


def _answered(server: Running) -> float:
    return server.metric("panoptes_request_seconds_count", route="/classify", status="200")


def _sum_of_outcomes(report: object) -> int:
    names = ("answered", "refused", "expired", "failed", "lost")
    return sum(getattr(report, name) for name in names)


def _results() -> Results:
    return Results(
        started="2025-01-01T00:00:00+00:00",
        command="test",
        machine=MACHINE,
        code=machine.this_code(),
        client="none",
        picture_bytes=0,
        quick=True,
    )


def _window(rate: float, *, of: float, number: int = 0) -> Window:
    return Window(
        server="Panoptes",
        model="mid",
        concurrency=32,
        round=number,
        requests=100,
        requests_per_s=rate,
        ceiling_per_s=of,
        p50_ms=10.0,
        p99_ms=14.0,
        max_ms=15.0,
        errors=0,
        server_cpu_us=1000.0,
        client_cpu_us=50.0,
    )


def _footprint(rss_mb: float) -> Footprint:
    memory = Memory(rss_mb, rss_mb)
    return Footprint(("tiny:1",), True, (1.0, 0.5), memory, memory)


@contextlib.contextmanager
def _stub(*, stall_s: float = 0.0, hangs_up: bool = False) -> Iterator[int]:
    """The port of a server that answers nothing until `stall_s` after its first request."""
    loop = asyncio.new_event_loop()
    released = asyncio.Event()
    first = True

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal first
        closing = contextlib.closing(writer)
        with closing, contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(REQUEST_BYTES)
                if hangs_up:
                    break
                if first:
                    loop.call_later(stall_s, released.set)
                    first = False
                await released.wait()
                writer.write(ANSWER)

    # All of it in the thread: a browser test leaves a loop running in this one.
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    starting = asyncio.start_server(serve, "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(starting, loop).result(10)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_close(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _close(server: asyncio.Server) -> None:
    """With its connections: what is closed now need not be waited for by anyone."""
    server.close()
    serving = asyncio.all_tasks() - {asyncio.current_task()}
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
    await asyncio.sleep(0)  # a transport ends in the turn after its close
