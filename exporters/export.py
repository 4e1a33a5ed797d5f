"""How any family becomes a bundle: its graphs are traced, proven, lowered and measured.

A family says what is its own (see `GraphSource`) and calls, in this order, `check_options`,
`make_graph` for each of its graphs, `measure` or `measure_graphs`, `describe` and `build_bundle`.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from exporters.bundle import BundleSpec, Part, Written, check_target
from exporters.card import Card
from exporters.drift import golden_tolerance, most_drift
from exporters.errors import ExportError, ParityError
from exporters.figures import Measured, measure_graphs
from exporters.graph import drop_output, export_graph, load_graph, save_graph
from exporters.half import check_range, compute_half
from exporters.parity import (
    FP32_TOLERANCE,
    PARITY_BATCHES,
    TRACE_BATCH,
    max_distance,
    measure_parity,
    run_torch,
)
from exporters.precision import store_half
from exporters.provenance import describe_export
from exporters.session import CpuSession
from service.bundle import Fit, Label, Parity, Quality, Tensors
from service.bundle.manifest import Precision

HALF_OR_FULL: Final[tuple[Precision, ...]] = ("fp32", "fp16", "fp16-compute")
LOWERING: Final = {"fp16": store_half, "fp16-compute": compute_half}
EXACT: Final = 0.5
"""A tolerance for whole numbers: they are equal or not."""


@dataclass(frozen=True)
class ExportOptions:
    """What every family lets choose; each adds its own, and defaults that suit it."""

    name: str
    version: int | None = None
    precision: Precision = "fp32"
    licence: str = "Apache-2.0"
    max_batch: int = 16


@dataclass(frozen=True)
class Output:
    """An output of a graph, and how exact it is.

    The float32 graph may differ from PyTorch by `tolerance`, and any engine by `golden`: if not
    given, that is measured (see `exporters.drift`), in proportion to `magnitude`, or to the largest
    that PyTorch answered. One whose numbers are names, such as a map of ids, is compared
    `by_share`: both are then shares of numbers that differ. One that is not `shipped` is there for
    the proof alone.
    """

    name: str
    tolerance: float = FP32_TOLERANCE
    golden: float | None = None
    magnitude: float | None = None
    by_share: bool = False
    shipped: bool = True

    @classmethod
    def whole(cls, name: str) -> Output:
        """Of whole numbers, such as labels."""
        return cls(name, tolerance=EXACT, golden=EXACT)


@dataclass(frozen=True)
class GraphSource:
    """What becomes one graph: a module in evaluation mode, golden inputs, and its outputs in order.

    There are at least as many golden samples as the largest of `batches`, at which it is proven.
    """

    module: nn.Module
    inputs: Tensors
    outputs: tuple[Output, ...]
    batches: Sequence[int] = PARITY_BATCHES

    @property
    def compared_by_share(self) -> tuple[str, ...]:
        return tuple(output.name for output in self.outputs if output.by_share)


@dataclass(frozen=True)
class Proven:
    """The float32 graph that was found equal to PyTorch, whose `answers` those that ship are."""

    source: GraphSource
    graph: Path
    answers: Tensors
    parity: tuple[Parity, ...]


@dataclass(frozen=True)
class Made:
    """One graph as it ships, beside the float32 graph that it was made from."""

    proven: Proven
    graph: Path
    part: Part


@dataclass(frozen=True)
class Exported:
    """The bundle, and what was measured on the way."""

    written: Written
    parity: Mapping[str, tuple[Parity, ...]]
    """Role -> that of the float32 graph, from which the others are made."""
    measured: Measured = field(default_factory=Measured)


def check_options(
    options: ExportOptions,
    repository: Path,
    *,
    what: str,
    precisions: Sequence[Precision] = HALF_OR_FULL,
) -> None:
    """ExportError for what cannot be written, before anything costly is done."""
    if options.precision not in precisions:
        raise ExportError(f"{what} becomes {', '.join(precisions)}, not {options.precision}")
    check_target(repository, options.name, options.version)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for graphs on their way into a bundle."""
    return tempfile.TemporaryDirectory(prefix="panoptes-export-")


def make_graph(source: GraphSource, path: Path, options: ExportOptions) -> Made:
    """The graph that ships in `path`, in the precision that was asked for.

    ParityError where the float32 graph differs from PyTorch by more than its outputs allow.
    """
    proven = prove(source, path.with_suffix(".fp32.onnx"))
    model = load_graph(proven.graph)
    if (lower := LOWERING.get(options.precision)) is not None:
        model = lower(model)
    if options.precision == "fp16-compute":
        check_range(model, proven.graph, source.inputs)
    save_graph(model, path)
    return ship(proven, path, options)


def measure(
    made: Made, options: ExportOptions, figures: Callable[[Path], Mapping[str, float]]
) -> Measured:
    """The figures of a bundle's one graph; see `measure_graphs` for those of several."""
    return measure_graphs(
        figures, shipped=made.graph, original=made.proven.graph, precision=options.precision
    )


def prove(source: GraphSource, path: Path) -> Proven:
    """Trace into `path`, compare with PyTorch, and only then drop what does not ship."""
    names = [output.name for output in source.outputs]
    answers = run_torch(source.module, source.inputs, names)
    example = {name: torch.from_numpy(v[:TRACE_BATCH]) for name, v in source.inputs.items()}
    model = export_graph(source.module, example, names)
    save_graph(model, path)
    tolerances = {output.name: output.tolerance for output in source.outputs}
    parity = measure_parity(
        path,
        source.inputs,
        answers,
        tolerances=tolerances,
        batches=source.batches,
        by_share=source.compared_by_share,
    )
    dropped = [output.name for output in source.outputs if not output.shipped]
    for name in dropped:
        model = drop_output(model, name)
    if dropped:
        save_graph(model, path)
    kept = {name: answer for name, answer in answers.items() if name not in dropped}
    return Proven(source, path, kept, parity)


def ship(proven: Proven, graph: Path, options: ExportOptions) -> Made:
    """Measure what ships, which may be of lower precision, against PyTorch's answers."""
    tolerances = _measure_tolerances(proven, graph, options.precision)
    least = min(tolerances.values())
    parity = proven.parity
    if options.precision != "fp32":
        parity = measure_parity(
            graph,
            proven.source.inputs,
            proven.answers,
            tolerances=tolerances,
            batches=proven.source.batches,
            by_share=proven.source.compared_by_share,
        )
    part = Part(
        model=load_graph(graph),
        precision=options.precision,
        golden_inputs=proven.source.inputs,
        golden_outputs=proven.answers,
        golden_tolerance=least,
        golden_tolerances={name: t for name, t in tolerances.items() if t != least},
        compared_by_share=proven.source.compared_by_share,
        parity=parity,
        max_batch=options.max_batch,
    )
    return Made(proven, graph, part)


def _measure_tolerances(proven: Proven, graph: Path, precision: Precision) -> dict[str, float]:
    """What another engine may differ by, output by output."""
    found = CpuSession(graph).run(proven.source.inputs)
    tolerances = {}
    for output in proven.source.outputs:
        if not output.shipped:
            continue
        expected = proven.answers[output.name]
        drift = max_distance(expected, found[output.name], by_share=output.by_share)
        magnitude = output.magnitude or float(abs(expected).max(initial=0))
        most = most_drift(precision, magnitude) if output.golden is None else output.golden
        if not math.isfinite(drift) or drift > most:
            raise ParityError(f"as {precision} {output.name} differs from PyTorch by {drift:.3g}")
        tolerances[output.name] = output.golden or golden_tolerance(precision, drift, magnitude)
    return tolerances


def describe(
    options: ExportOptions,
    metadata: Mapping[str, Any],
    *,
    task: str,
    summary: str,
    card: Card,
    quality: Sequence[Quality],
    labels: tuple[Label, ...] = (),
    fit: Fit | None = None,
    defaults: Mapping[str, bool | int | float | str] | None = None,
    source: str | None = None,
    tokenizer: Path | None = None,
) -> BundleSpec:
    """What the manifest says beside the graphs; where the weights come from is in `metadata`.

    `source` replaces the one that the checkpoint names.
    """
    return BundleSpec(
        name=options.name,
        version=options.version,
        task=task,
        summary=summary,
        licence=options.licence,
        provenance=describe_export(metadata, source=source),
        card=card,
        labels=labels,
        fit=fit,
        defaults=defaults or {},
        quality=tuple(quality),
        tokenizer=tokenizer,
    )
