"""What is measured of a model on its way into a bundle, as the manifest says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from exporters.provenance import typed_command, without_folders
from service.bundle import Parity, Quality
from service.bundle.manifest import Precision

GraphsT = TypeVar("GraphsT")


@dataclass(frozen=True)
class Measured:
    """The figures of what ships; of the float32 graphs too, where what ships is of lower precision.

    Empty where nothing was evaluated.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    original: Mapping[str, float] = field(default_factory=dict)


def measure_graphs(
    measure: Callable[[GraphsT], Mapping[str, float]],
    *,
    shipped: GraphsT,
    original: GraphsT,
    precision: Precision,
) -> Measured:
    """Measure a graph, or all of a bundle's, and what lower precision changes."""
    return Measured(measure(shipped), {} if precision == "fp32" else measure(original))


def trained_quality(
    metadata: Mapping[str, Any], *, kept: Callable[[str], bool] = lambda name: True
) -> list[Quality]:
    """What training measured with PyTorch on its validation data."""
    command = without_folders(metadata.get("provenance", {}).get("command", ""))
    return [
        Quality(metric=name, value=float(value), data="validation split, PyTorch", command=command)
        for name, value in metadata.get("metrics", {}).items()
        if kept(name)
    ]


def parity_quality(parity: Sequence[Parity], output: str) -> list[Quality]:
    """How far an output of the float32 graph is from PyTorch, for the model card."""
    entries = [entry for entry in parity if entry.output == output]
    sizes = ", ".join(str(entry.batch) for entry in entries)
    return [
        Quality(
            metric=f"fp32_{output}_max_abs_difference",
            value=max(entry.max_abs for entry in entries),
            data=f"golden images at batch {sizes}, ONNX Runtime on the CPU against PyTorch",
        )
    ]


def measured_quality(
    measured: Measured, data: str, *, twins: Callable[[str], bool] = lambda name: True
) -> list[Quality]:
    """The figures of what ships, and of the float32 graphs those that `twins` names."""
    figures = dict(measured.figures)
    figures |= {f"{name}_fp32": value for name, value in measured.original.items() if twins(name)}
    command = typed_command()
    return [
        Quality(
            metric=metric, value=value, data=f"{data}, ONNX Runtime on the CPU", command=command
        )
        for metric, value in figures.items()
    ]
