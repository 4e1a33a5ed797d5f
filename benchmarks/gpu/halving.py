"""A bundle whose graphs compute in half precision, made of one that does not."""

from __future__ import annotations

from pathlib import Path

from benchmarks.gpu.report import SkippedError
from service.bundle import Bundle, load_golden, write_bundle

WIDER = 2e-2
"""What such a graph may be off, relative to the largest number of an output."""


def halved(bundle: Bundle, repository: Path) -> Bundle:
    """SkippedError where the exporters, and with them torch, are not installed."""
    try:
        from exporters.graph import load_graph, save_graph
        from exporters.half import compute_half
    except ImportError as error:
        raise SkippedError(f"half precision needs panoptes[train]: {error.name}") from None
    golden = load_golden(bundle)
    folder = repository.with_name(f"{repository.name}-graphs")
    folder.mkdir(parents=True, exist_ok=True)
    graphs, files = {}, {name: bundle.file(name) for name in bundle.manifest.files}
    for role, graph in bundle.manifest.graphs.items():
        (files[graph.file], *_) = save_graph(
            compute_half(load_graph(bundle.file(graph.file))), folder / graph.file
        )
        tolerances = {
            name: max(graph.tolerance_of(name), WIDER * max(1.0, float(abs(value).max())))
            for name, value in golden[role][1].items()
            if value.dtype.kind == "f"
        }
        graphs[role] = graph.model_copy(
            update={
                "precision": "fp16-compute",
                "golden_tolerances": dict(graph.golden_tolerances) | tolerances,
                "parity": (),
            }
        )
    manifest = bundle.manifest.model_copy(update={"graphs": graphs})
    return write_bundle(repository, manifest, files)
