"""Graphs, golden tensors and what is known of a model become one immutable bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import onnx_ir as ir

from exporters.card import CARD_FILE, Card, render_card
from exporters.errors import ExportError
from exporters.graph import save_graph, tensor_specs
from exporters.session import CpuSession
from service.bundle import (
    Bundle,
    BundleError,
    Fit,
    Graph,
    Label,
    Manifest,
    Parity,
    Provenance,
    Quality,
    Tensors,
    check_golden,
    parse_ref,
    save_golden,
    write_bundle,
)
from service.bundle.bundle import digest_of
from service.bundle.manifest import Precision

GOLDEN_FILE: Final = "golden.npz"
TOKENIZER_FILE: Final = "tokenizer.json"


@dataclass(frozen=True)
class Part:
    """One graph on its way into a bundle.

    The golden outputs are PyTorch's, in float32, whatever the precision of the graph.
    """

    model: ir.Model
    precision: Precision
    golden_inputs: Tensors
    golden_outputs: Tensors
    golden_tolerance: float
    parity: tuple[Parity, ...]
    max_batch: int
    golden_tolerances: Mapping[str, float] = field(default_factory=dict)
    """Of outputs that are allowed more."""
    compared_by_share: tuple[str, ...] = ()


@dataclass(frozen=True)
class BundleSpec:
    """What the manifest and the card say beside the graphs. No version means the next free one."""

    name: str
    task: str
    summary: str
    licence: str
    provenance: Provenance
    card: Card
    version: int | None = None
    labels: tuple[Label, ...] = ()
    fit: Fit | None = None
    defaults: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    quality: tuple[Quality, ...] = ()
    tokenizer: Path | None = None


@dataclass(frozen=True)
class Written:
    """A bundle as it was written, and how far each of its graphs is from its golden outputs."""

    bundle: Bundle
    drift: dict[str, float]


def build_bundle(repository: Path, spec: BundleSpec, parts: Mapping[str, Part]) -> Written:
    """Write role -> graph as a new version of `spec.name`, checked first as a server will."""
    check_target(repository, spec.name, spec.version)
    version = spec.version or next_version(repository, spec.name)
    with tempfile.TemporaryDirectory(prefix="panoptes-export-") as made:
        files: dict[str, Path] = {}
        graphs = {}
        for role, part in parts.items():
            path = Path(made, f"{role}.onnx")
            files |= {file.name: file for file in save_graph(part.model, path)}
            graphs[role] = _describe(path, part)
        files[GOLDEN_FILE] = Path(made, GOLDEN_FILE)
        golden = {role: (part.golden_inputs, part.golden_outputs) for role, part in parts.items()}
        save_golden(files[GOLDEN_FILE], golden)
        if spec.tokenizer is not None:
            files[TOKENIZER_FILE] = spec.tokenizer
        manifest = Manifest(
            name=spec.name,
            version=version,
            task=spec.task,
            summary=spec.summary,
            labels=spec.labels,
            fit=spec.fit,
            graphs=graphs,
            golden=GOLDEN_FILE,
            tokenizer=TOKENIZER_FILE if spec.tokenizer is not None else None,
            files={name: digest_of(path) for name, path in files.items()},
            defaults=dict(spec.defaults),
            quality=spec.quality,
            provenance=spec.provenance,
            licence=spec.licence,
        )
        drift = check_bundle(Bundle(Path(made), manifest, digest=""))
        files[CARD_FILE] = Path(made, CARD_FILE)
        files[CARD_FILE].write_text(render_card(manifest, spec.card), encoding="utf-8")
        return Written(write_bundle(repository, manifest, files), drift)


def check_bundle(bundle: Bundle) -> dict[str, float]:
    """Run the golden inputs through every graph on the CPU; role -> the largest difference."""
    sessions = {
        role: CpuSession(bundle.file(graph.file)) for role, graph in bundle.manifest.graphs.items()
    }
    try:
        return check_golden(bundle, lambda role, inputs: sessions[role].run(inputs))
    except BundleError as error:
        raise ExportError(f"{bundle.manifest.ref} fails its own check: {error}") from error


def check_target(repository: Path, name: str, version: int | None) -> None:
    """Refuse a name or a version that cannot be written, before anything costly is done."""
    try:
        if parse_ref(name) != (name, None):
            raise ValueError(f"{name!r} names a version; give it apart")
    except ValueError as error:
        raise ExportError(f"{error}: use small letters, digits and . _ -") from None
    if version is not None and (repository / name / str(version)).exists():
        raise ExportError(
            f"{name}:{version} exists already in {repository}: "
            "a version never changes, take another number"
        )


def next_version(repository: Path, name: str) -> int:
    """One more than the highest version that lies there."""
    taken = (folder.name for folder in (repository / name).glob("*"))
    return 1 + max((int(version) for version in taken if version.isdecimal()), default=0)


def _describe(path: Path, part: Part) -> Graph:
    return Graph(
        file=path.name,
        precision=part.precision,
        inputs=tensor_specs(part.model.graph.inputs),
        outputs=tensor_specs(part.model.graph.outputs),
        max_batch=part.max_batch,
        golden_tolerance=part.golden_tolerance,
        golden_tolerances=dict(part.golden_tolerances),
        compared_by_share=part.compared_by_share,
        parity=part.parity,
    )
