"""The results of `benchmarks.generation` as Markdown, for people."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.generation_results import GenerationResults
from benchmarks.table import table


def markdown(results: GenerationResults) -> str:
    return "\n\n".join([*_about(results), *_shifts(results), *_beside(results)]) + "\n"


def _about(results: GenerationResults) -> Iterator[str]:
    machine, code = results.machine, results.code
    yield "# Painting, measured"
    if results.quick:
        yield "**A quick run, for development: it is too short to be quoted.**"
    if not results.quiet:
        yield (
            f"**The machine was not quiet**: others used {machine.busy_cores:.2f} cores before the "
            f"run and {results.busy_cores_after:.2f} after. These figures should not be quoted."
        )
    yield (
        f"{results.started[:16].replace('T', ' ')} on {machine.processor}, {machine.cores} cores, "
        f"{machine.system}. {results.model}, commit `{code.commit}`"
        f"{' with changes' * code.modified}. Client on the same cores. `{results.command}`."
    )
    steps = ", ".join(f"{s * 1e3:.1f} at {b}" for b, s in results.cost.step_s.items())
    yield (
        f"A run of the step graph takes one core so many ms by batch: {steps}; text, decoder and "
        f"PNG of a picture {results.cost.rest_s * 1e3:.1f} ms. So one by one the machine could "
        f"paint {results.capacity_per_s:.2f} pictures a second."
    )


def _shifts(results: GenerationResults) -> Iterator[str]:
    yield "## Prompts of 5 to 50 steps, as a Poisson process"
    yield (
        "The same arrivals to each server, with the same graphs, as many workers as cores, and a "
        "thread each. Latencies count from the moment at which a prompt was due."
    )
    header = ["load", "server", "images/s", "p50 s", "p95 s", "mean s", "mean batch", "failed"]
    rows = [
        [
            f"{shift.load:g} ×",
            shift.server,
            f"{shift.images_per_s:.2f}",
            f"{shift.p50_s:.2f}",
            f"{shift.p95_s:.2f}",
            f"{shift.mean_s:.2f}",
            f"{shift.mean_batch:.2f}",
            str(shift.failed),
        ]
        for shift in results.shifts
    ]
    yield table(header, rows)


def _beside(results: GenerationResults) -> Iterator[str]:
    yield "## /classify beside /generate"
    header = ["prompts under way", "requests", "p50 ms", "p99 ms", "max ms", "errors"]
    rows = []
    for each in results.beside:
        report = each.report
        figures = [f"{report.answered_ms[name]:.1f}" for name in ("p50", "p99", "max")]
        errors = report.requests - report.answered
        rows.append([str(each.painting), str(report.requests), *figures, str(errors)])
    yield table(header, rows)
    step_ms = results.cost.step_s[1] * 1e3
    kept = results.added_ms <= step_ms
    yield (
        f"A saturated /generate adds {results.added_ms:.1f} ms to the 99th percentile; one step "
        f"takes {step_ms:.1f} ms. At most one step more: {'yes' if kept else '**no**'}."
    )
