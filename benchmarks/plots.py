"""The results as pictures: throughput and latency by concurrency, and what overload does."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.results import Results, Sweep, Window

INK, FAINT = "#22262e", "#9aa1ab"
COLOURS = ("#1768c4", "#d9822b", "#3b9b6d", "#9457b8", "#c04a4a")
REFUSED = "#c04a4a"
LEGEND_MAX = 5
"""Names beside each other; more take another line."""
DASHED = (0, (4, 3))
STYLE: Any = {
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e6e8ec",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.minor.bottom": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.5,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.dpi": 144,
}


def draw(results: Results, folder: Path) -> list[Path]:
    """PNG files with fixed names, so that documents can show the latest."""
    drawn = []
    with mpl.rc_context(STYLE):
        if results.windows:
            drawn.append(_save(_closed(_compared(results)), folder / "closed-loop.png"))
        if results.sweeps:
            drawn.append(_save(_overload(results.sweeps), folder / "overload.png"))
    return drawn


def _compared(results: Results) -> Results:
    """Only the models that most servers were measured with."""
    servers: dict[str, set[str]] = {model: set() for model in results.models}
    for window in results.windows:
        servers[window.model].add(window.server)
    most = max(map(len, servers.values()))
    kept = tuple(w for w in results.windows if len(servers[w.model]) == most)
    return dataclasses.replace(results, windows=kept)


def _closed(results: Results) -> Figure:
    models = results.models
    figure = Figure(figsize=(4.6 * len(models) + 0.4, 6.6), layout="constrained")
    axes = figure.subplots(2, len(models), squeeze=False, sharex=True)
    for column, model in enumerate(models):
        _throughput(axes[0][column], results, model)
        _latency(axes[1][column], results, model)
    axes[0][0].set_ylabel("requests/s")
    axes[1][0].set_ylabel("latency, ms")
    _legend(figure, [axes[0][0]])
    return figure


def _throughput(axes: Any, results: Results, model: str) -> None:
    loops = results.concurrencies
    ceiling = results.ceiling(model)
    axes.axhline(ceiling, color=FAINT, linestyle=DASHED, linewidth=1.4, label="decode + run alone")
    ends = []
    for colour, server in zip(COLOURS, results.servers, strict=False):
        rates = _medians(results, server, model, lambda w: w.requests_per_s)
        axes.plot(range(len(loops)), rates, "o-", color=colour, label=server)
        ends.append((rates[-1], results.ratio(server, model, loops[-1]), colour))
    axes.set_title(f"{model}: throughput, and its share of the ceiling")
    axes.set_ylim(0, None)
    axes.margins(x=0.14)
    lowest, apart = 0.0, axes.get_ylim()[1] * 0.055
    for rate, ratio, colour in sorted(ends):
        lowest = max(rate, lowest)  # labels of like rates are set one above the other
        axes.annotate(
            f"{ratio:.0%}",
            (len(loops) - 1, lowest),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
        )
        lowest += apart


def _latency(axes: Any, results: Results, model: str) -> None:
    loops = results.concurrencies
    at = np.arange(len(loops))
    for index, (colour, server) in enumerate(zip(COLOURS, results.servers, strict=False)):
        shifted = at + 0.09 * (index - (len(results.servers) - 1) / 2)
        p50 = _medians(results, server, model, lambda w: w.p50_ms)
        p99 = _medians(results, server, model, lambda w: w.p99_ms)
        axes.vlines(shifted, p50, p99, color=colour, linewidth=4, alpha=0.35)
        axes.plot(shifted, p50, "o", color=colour)
        axes.plot(shifted, p99, "_", color=colour, markersize=10, markeredgewidth=2)
    _by_decades(axes)
    axes.set_title("latency: ● median, – 99th percentile")
    axes.set_xticks(at, [str(c) for c in loops])
    axes.set_xlabel("clients")


def _medians(
    results: Results, server: str, model: str, figure: Callable[[Window], float]
) -> list[float]:
    return [results.median(server, model, c, figure) for c in results.concurrencies]


def _overload(sweeps: Sequence[Sweep]) -> Figure:
    figure = Figure(figsize=(4.6 * len(sweeps) + 0.4, 6.6), layout="constrained")
    axes = figure.subplots(2, len(sweeps), squeeze=False, sharex=True)
    for column, sweep in enumerate(sweeps):
        _goodput(axes[0][column], sweep)
        _answers(axes[1][column], sweep)
    axes[0][0].set_ylabel("answered in time / capacity")
    axes[1][0].set_ylabel("latency, ms")
    _legend(figure, [axes[0][0], axes[1][0]])
    return figure


def _legend(figure: Figure, axes: Sequence[Any]) -> None:
    """Above all axes, each name once."""
    named: dict[str, Any] = {}
    for each in axes:
        handles, labels = each.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    figure.legend(
        handles=list(named.values()),
        labels=list(named),
        loc="outside upper center",
        ncols=math.ceil(len(named) / math.ceil(len(named) / LEGEND_MAX)),
    )


def _goodput(axes: Any, sweep: Sweep) -> None:
    loads = [step.load for step in sweep.steps]
    shares = [step.report.goodput_per_s / sweep.capacity for step in sweep.steps]
    ideal = [0, 1, max(loads)]
    axes.plot(ideal, np.minimum(ideal, 1), color=FAINT, linestyle=DASHED, label="ideal")
    axes.plot(loads, shares, "o-", color=COLOURS[0], label="answered")
    axes.set_title(f"{sweep.model}: capacity {sweep.capacity:.0f} requests/s")
    axes.set_ylim(0, max(1.15, 1.05 * max(shares)))
    axes.set_xlim(0, None)


def _answers(axes: Any, sweep: Sweep) -> None:
    loads = np.array([step.load for step in sweep.steps])
    _band(axes, loads, [step.report.answered_ms for step in sweep.steps], COLOURS[0], "answered")
    _band(axes, loads, [step.report.refused_ms for step in sweep.steps], REFUSED, "refused")
    axes.axhline(sweep.deadline_ms, color=FAINT, linestyle=DASHED, linewidth=1.4)
    axes.text(
        0.02, sweep.deadline_ms, "deadline", transform=axes.get_yaxis_transform(), va="bottom",
        color=FAINT, fontsize=9,
    )  # fmt: skip
    _by_decades(axes)
    axes.set_title("latency from the due time: p50 to p99")
    axes.set_xlabel("offered load / capacity")


def _band(
    axes: Any, loads: Any, latencies_ms: Sequence[dict[str, float]], colour: str, label: str
) -> None:
    known = [index for index, values in enumerate(latencies_ms) if values]
    if not known:
        return
    p50, p99 = ([latencies_ms[index][name] for index in known] for name in ("p50", "p99"))
    axes.fill_between(loads[known], p50, p99, color=colour, alpha=0.18, linewidth=0)
    axes.plot(loads[known], p50, "o-", color=colour, label=label)


def _by_decades(axes: Any) -> None:
    """Upwards 1, 2, 5, 10, 20 …, written as people do."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
