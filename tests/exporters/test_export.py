"""The way of every family, on graphs of no family."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters.bundle import build_bundle
from exporters.card import Card
from exporters.errors import ExportError, ParityError
from exporters.export import (
    Exported,
    ExportOptions,
    GraphSource,
    Output,
    check_options,
    describe,
    make_graph,
    prove,
    scratch,
)
from exporters.figures import Measured, measure_graphs, measured_quality, trained_quality
from exporters.session import CpuSession
from service.bundle import Tensors


class Sorter(nn.Module):
    """Scores of numbers, and which is the highest."""

    def __init__(self, *, lies: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 5))
        self.lies = lies

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, 6] -> [B, 5] twice, and [B, 1]"""
        scores = self.layers(numbers)
        if torch.compiler.is_exporting():
            scores = scores + self.lies
        return scores, scores * 100, scores.argmax(1, keepdim=True)


def source(lies: float = 0.0, count: int = 8) -> GraphSource:
    generator = np.random.default_rng(0)
    inputs: Tensors = {"numbers": generator.normal(size=(count, 6)).astype(np.float32)}
    outputs = (
        Output("scores", shipped=False),
        Output("percent", tolerance=1e-2, magnitude=500.0),
        Output.whole("best"),
    )
    batches = (1, 2, 3, 8) if count == 8 else (1, 2)
    return GraphSource(Sorter(lies=lies).eval(), inputs, outputs, batches)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_what_ships_is_proven_and_says_how_exact_it_is(precision: str, tmp_path: Path) -> None:
    options = ExportOptions("x", precision="fp16" if precision == "fp16" else "fp32")
    made = make_graph(source(), tmp_path / "sorter.onnx", options)
    assert CpuSession(made.graph).outputs == ["percent", "best"]
    assert CpuSession(made.proven.graph).outputs == ["percent", "best"]
    assert {entry.output for entry in made.proven.parity} == {"scores", "percent", "best"}
    shipped = {"scores", "percent", "best"} if precision == "fp32" else {"percent", "best"}
    assert {entry.output for entry in made.part.parity} == shipped
    assert set(made.part.golden_outputs) == {"percent", "best"}
    # The least is the rule, and what is allowed more is said by name.
    assert made.part.golden_tolerance == 0.5
    floor = 2e-3 if precision == "fp32" else 5e-3
    assert made.part.golden_tolerances == {"percent": pytest.approx(500 * floor, rel=0.2)}


def test_names_may_differ_in_a_share_of_places(tmp_path: Path) -> None:
    plain = source()
    best = Output("best", tolerance=1e-6, golden=0.2, by_share=True)
    named = GraphSource(plain.module, plain.inputs, (*plain.outputs[:2], best), plain.batches)
    made = make_graph(named, tmp_path / "sorter.onnx", ExportOptions("x"))
    assert made.part.compared_by_share == ("best",)
    assert made.part.golden_tolerance == 0.2
    assert {p.max_abs for p in made.part.parity if p.output == "best"} == {0.0}


def test_the_proof_may_be_at_smaller_batches(tmp_path: Path) -> None:
    proven = prove(source(count=2), tmp_path / "sorter.onnx")
    assert {entry.batch for entry in proven.parity} == {1, 2}


def test_a_graph_that_answers_otherwise_does_not_ship(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="scores differs from PyTorch"):
        prove(source(lies=0.01), tmp_path / "sorter.onnx")


class Tie(nn.Module):
    """Whose whole numbers hang by a digit that half precision does not have."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.ones(32, 16)
        weight[1] += 1e-5
        self.weight = nn.Parameter(weight)

    def forward(self, numbers: Tensor) -> Tensor:
        return nn.functional.linear(numbers, self.weight).argmax(1, keepdim=True)


def test_lower_precision_may_not_change_whole_numbers(tmp_path: Path) -> None:
    inputs: Tensors = {"numbers": np.ones((8, 16), np.float32)}
    tie = GraphSource(Tie().eval(), inputs, (Output.whole("best"),))
    make_graph(tie, tmp_path / "fp32.onnx", ExportOptions("x"))
    with pytest.raises(ParityError, match="as fp16 best differs"):
        make_graph(tie, tmp_path / "fp16.onnx", ExportOptions("x", precision="fp16"))


def test_options_are_checked_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="a sorter becomes fp32, fp16, fp16-compute, not int8"):
        check_options(ExportOptions("x", precision="int8"), tmp_path, what="a sorter")
    with pytest.raises(ExportError, match="small letters"):
        check_options(ExportOptions("Not A Name"), tmp_path, what="a sorter")


def test_several_graphs_become_one_bundle_with_figures_of_both_precisions(tmp_path: Path) -> None:
    options = ExportOptions("pair", precision="fp16", licence="MIT", max_batch=3)
    metadata = {"metrics": {"order": 0.5}, "provenance": {"data": "numbers", "source": "here"}}
    inputs = source().inputs

    def spread(graphs: dict[str, Path]) -> dict[str, float]:
        answers = [CpuSession(graph).run(inputs)["percent"] for graph in graphs.values()]
        return {"spread": float(np.ptp(answers[0])), "count": float(len(answers))}

    with scratch() as folder:
        made = {
            role: make_graph(source(), Path(folder, f"{role}.onnx"), options)
            for role in ("first", "second")
        }
        measured = measure_graphs(
            spread,
            shipped={role: one.graph for role, one in made.items()},
            original={role: one.proven.graph for role, one in made.items()},
            precision=options.precision,
        )
    twins = measured_quality(measured, "8 rows", twins=lambda name: name == "spread")
    described = describe(
        options,
        metadata,
        task="sort",
        summary="Sorts twice",
        card=Card(knows="Numbers.", limits="Words.", usage="    run it"),
        quality=[*trained_quality(metadata), *twins],
    )
    written = build_bundle(tmp_path, described, {role: one.part for role, one in made.items()})
    exported = Exported(written, {role: m.proven.parity for role, m in made.items()}, measured)
    manifest = exported.written.bundle.manifest
    assert set(manifest.graphs) == {"first", "second"}
    assert {graph.max_batch for graph in manifest.graphs.values()} == {3}
    assert {q.metric for q in manifest.quality} == {"order", "spread", "count", "spread_fp32"}
    figures = {q.metric: q.value for q in manifest.quality}
    assert figures["count"] == 2
    assert figures["spread"] == pytest.approx(figures["spread_fp32"], rel=1e-2)
    assert (manifest.provenance.source, manifest.provenance.data) == ("here", "numbers")
    assert manifest.licence == "MIT"


def test_a_float32_graph_is_measured_once() -> None:
    seen: list[str] = []

    def measure(graph: str) -> dict[str, float]:
        seen.append(graph)
        return {"a": 1.0}

    assert measure_graphs(measure, shipped="x", original="y", precision="fp32") == Measured(
        {"a": 1.0}
    )
    assert seen == ["x"]
