"""Step batching beside whole requests, and /classify beside a /generate that never rests."""

from __future__ import annotations

import dataclasses

from benchmarks import generation
from benchmarks.generation_results import GenerationResults
from benchmarks.gpu.context import Context
from benchmarks.gpu.report import Findings

TITLE = "Painting: steps beside whole requests, and /classify beside both"
NOTE = (
    "The same Poisson arrivals of prompts of 5 to 50 steps to each server, with the same graphs on "
    "the same device. The two others take their inputs from the host at every step, as Panoptes "
    "does. Load 1 is what painting one by one could do."
)
LOADS = (0.8, 2.0, 4.0)
"""A GPU paints several pictures for little more than the price of one."""


def check(context: Context, found: Findings) -> None:
    painter, seer = context.first("generate"), context.first("classify")
    context.tell(f"{painter.manifest.ref} and {seer.manifest.ref}")
    pace = generation.QUICK if context.quick else generation.FULL
    if context.quick:
        pace = generation.Pace((0.01,), 0.2, 1.0)
    elif context.compute.on_gpu:
        pace = dataclasses.replace(pace, loads=LOADS)
    results = generation.measure(
        painter,
        seer,
        context.make_folder("painting"),
        pace,
        quick=context.quick,
        compute=context.compute,
    )
    found.notes.append(NOTE)
    _tell(results, found)


def _tell(results: GenerationResults, found: Findings) -> None:
    for shift in results.shifts:
        found.rows.append(
            {
                "server": shift.server,
                "load": shift.load,
                "images/s": shift.images_per_s,
                "p50 s": shift.p50_s,
                "p95 s": shift.p95_s,
                "mean batch": shift.mean_batch,
                "failed": shift.failed,
            }
        )
        if shift.failed:
            found.failures.append(f"{shift.server} failed on {shift.failed} of {shift.images}")
    steps = ", ".join(f"{s * 1e3:.2f} ms at {b}" for b, s in results.cost.step_s.items())
    found.notes.append(f"A step of {results.model}, copies included: {steps}.")
    for beside in results.beside:
        told = beside.report.answered_ms
        found.rows.append(
            {
                "server": f"/classify beside {beside.painting} prompts",
                "requests": beside.report.requests,
                "p50 ms": told.get("p50"),
                "p99 ms": told.get("p99"),
                "failed": beside.report.requests - beside.report.answered,
            }
        )
    found.notes.append(
        f"A saturated /generate adds {results.added_ms:.1f} ms to the 99th percentile of /classify."
    )
