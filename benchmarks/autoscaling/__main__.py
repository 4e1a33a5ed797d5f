"""python -m benchmarks.autoscaling: simulate a day under three policies, and draw it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.autoscaling.day import Run, World, day, simulate
from benchmarks.autoscaling.scaler import read_policy
from benchmarks.plots import COLOURS, FAINT, INK, STYLE

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "k8s/components/hpa/horizontalpodautoscaler.yaml"
PICTURE = ROOT / "docs/autoscaling.png"
BUSY = 0.8
"""How busy a fleet of fixed size may be at the rush."""


def main() -> None:
    world = World()
    shipped = read_policy(MANIFEST)
    queue = {k: v for k, v in shipped.targets.items() if k == "panoptes_queue_depth"}
    peak = max(day(s) for s in range(0, 86_400, 60))
    enough = int(np.ceil(peak * world.sample_s / world.workers / BUSY))
    policies = {
        "running and queued, as shipped": shipped,
        "queued alone": dataclasses.replace(shipped, targets=queue),
        f"always {enough} pods": shipped.fixed(enough),
    }
    runs = {name: simulate(policy, day, world) for name, policy in policies.items()}
    print("| policy | pod-hours | p50 | p99 | p99.9 | later than 1 s | refused |")
    print("|---|---|---|---|---|---|---|")
    for name, run in runs.items():
        p50, p99, p999 = (run.percentile_s(p) for p in (50, 99, 99.9))
        total = len(run.latency_s) + run.refused
        print(
            f"| {name} | {run.pod_hours:.0f} | {p50 * 1e3:.0f} ms | {p99:.2f} s | {p999:.1f} s "
            f"| {run.share_above(1):.2%} | {run.refused} of {total} |"
        )
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    with mpl.rc_context(STYLE):
        draw(runs, world).savefig(target, bbox_inches="tight")
    print(f"drawn: {target}")


def draw(runs: Mapping[str, Run], world: World) -> Figure:
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    traffic, pods, latency = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [1, 1.6, 1.6]}
    )
    hours = np.arange(0, 24, 1 / 60)
    rates = [day(h * 3600) for h in hours]
    traffic.fill_between(hours, rates, color=FAINT, alpha=0.35, linewidth=0)
    traffic.plot(hours, rates, color=INK, linewidth=1.2)
    traffic.set_title("Requests a second")
    needed = np.array(rates) * world.sample_s / world.workers
    pods.fill_between(
        hours, needed, color=FAINT, alpha=0.35, linewidth=0, label="busy all the time"
    )
    for index, (colour, (name, run)) in enumerate(zip(COLOURS, runs.items(), strict=False)):
        front = len(runs) - index  # the first one lies on top
        style = {"color": colour, "zorder": 2 + front}
        pods.step(np.array(run.looks_s) / 3600, run.pods, label=name, linewidth=1.4, **style)
        latency.semilogy(*run.by_minute(99), linewidth=1.0, **style)
    pods.set_title("Pods")
    pods.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=4, fontsize=8.5)
    latency.yaxis.set_major_formatter("{x:g}")
    latency.set_title("Latency, 99th percentile of each minute, seconds")
    latency.set_xlabel("hour of the day")
    latency.set_xticks(range(0, 25, 3))
    latency.set_xlim(0, 24)
    return figure


if __name__ == "__main__":
    main()
