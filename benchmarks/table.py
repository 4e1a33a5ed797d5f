"""The results as Markdown, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.gates import Gate, check
from benchmarks.results import Results, Sweep


def markdown(results: Results, *, plots: Sequence[str] = ()) -> str:
    sections = [
        *_about(results),
        *(f"![]({plot})" for plot in plots),
        *_closed(results),
        *(line for sweep in results.sweeps for line in _sweep(sweep)),
        *_footprint(results),
        *_gates(check(results)),
    ]
    return "\n\n".join(sections) + "\n"


def _about(results: Results) -> Iterator[str]:
    machine, code = results.machine, results.code
    versions = ", ".join(f"{name} {version}" for name, version in code.versions.items())
    yield "# Benchmark results"
    if results.quick:
        yield "**A quick run, for development: its windows are too short to be quoted.**"
    yield (
        f"{results.started[:16].replace('T', ' ')} on {machine.processor}, {machine.cores} cores, "
        f"{machine.memory_gb:.0f} GB, {machine.system}; others used {machine.busy_cores:.2f} cores "
        f"before the run. Commit `{code.commit}`{' with changes' * code.modified}, "
        f"Python {code.python}, {versions}. Client: {results.client}, on the same cores. "
        f"`{results.command}`, {results.seconds:.0f} s. What the figures mean: docs/benchmarks.md."
    )
    for note in results.notes:
        yield f"Note: {note}"


def _closed(results: Results) -> Iterator[str]:
    loops = results.concurrencies
    yield "## Closed loop: so many clients, each of which waits for its answer"
    header = [
        *("model", "server"),
        *(f"c{c} req/s" for c in loops),
        *(f"c{c} of ceiling" for c in loops),
        *(f"c{c} p50 / p99 ms" for c in loops),
        *(f"c{loops[-1]} CPU ms", "errors"),
    ]
    rows = []
    for model in results.models:
        ceiling = results.ceiling(model)
        rows.append([model, "ceiling, no HTTP", *[f"{ceiling:.0f}"] * len(loops)])
        rows[-1] += [""] * (len(header) - len(rows[-1]))
        for server in results.servers:
            if results.windows_of(server, model, loops[0]):
                rows.append([model, server, *_closed_row(results, server, model)])
    yield table(header, rows)


def _closed_row(results: Results, server: str, model: str) -> Iterator[str]:
    loops = results.concurrencies
    for c in loops:
        yield f"{results.median(server, model, c, lambda w: w.requests_per_s):.0f}"
    for c in loops:
        yield f"{results.ratio(server, model, c):.2f}"
    for c in loops:
        p50 = results.median(server, model, c, lambda w: w.p50_ms)
        p99 = results.median(server, model, c, lambda w: w.p99_ms)
        yield f"{p50:.1f} / {p99:.1f}"
    yield f"{results.median(server, model, loops[-1], lambda w: w.server_cpu_us) / 1e3:.2f}"
    windows = [w for w in results.windows if (w.server, w.model) == (server, model)]
    yield str(sum(w.errors for w in windows))


def _sweep(sweep: Sweep) -> Iterator[str]:
    before, after = sweep.capacity_per_s
    yield f"## Open loop, {sweep.model}: Poisson arrivals, deadline {sweep.deadline_ms} ms"
    yield (
        f"Capacity by the same generator: {before:.0f} requests/s before, {after:.0f} after. "
        f"Goodput counts the answers within the deadline."
    )
    header = [
        *("load", "offered/s", "goodput/s", "of capacity", "answered p50 / p99 ms", "late"),
        *("refused", "refused p50 / p99 / max ms", "expired", "other 5xx", "lost"),
        *("generator late p99 ms", "generator cores"),
    ]
    rows = []
    for step in sweep.steps:
        report = step.report
        rows.append(
            [
                f"{step.load:g} ×",
                f"{step.offered_per_s:.0f}",
                f"{report.goodput_per_s:.0f}",
                f"{report.goodput_per_s / sweep.capacity:.0%}",
                _latencies(report.answered_ms, ("p50", "p99")),
                str(report.late),
                str(report.refused),
                _latencies(report.refused_ms, ("p50", "p99", "max")),
                str(report.expired),
                str(report.failed_5xx),
                str(report.lost),
                _latencies(report.lag_ms, ("p99",)),
                f"{report.cpu_us * report.requests / report.seconds / 1e6:.2f}",
            ]
        )
    yield table(header, rows)


def _footprint(results: Results) -> Iterator[str]:
    if (footprint := results.footprint) is None:
        return
    yield "## Start and memory"
    models = ", ".join(footprint.models)
    pack = "the starter pack" if footprint.starter else "no starter pack; instead"
    first, second = footprint.ready_s
    yield (
        f"With {pack} ({models}): ready {first:.2f} s after the process was started, {second:.2f} s"
        f" the second time. Idle {footprint.idle.rss_mb:.0f} MB RSS, {footprint.idle.pss_mb:.0f} MB"
        f" PSS; after load {footprint.loaded.rss_mb:.0f} and {footprint.loaded.pss_mb:.0f} MB."
    )


def _gates(gates: Iterable[Gate]) -> Iterator[str]:
    yield "## Promises"
    yield table(
        ["promise", "measured", "met"],
        [[gate.promise, gate.measured, "yes" if gate.met else "**no**"] for gate in gates],
    )


def _latencies(values_ms: dict[str, float], names: Sequence[str]) -> str:
    return " / ".join(f"{values_ms[name]:.1f}" for name in names) if values_ms else "–"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
