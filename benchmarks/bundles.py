"""The benchmark's own models, as bundles that the server takes like any other."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

from benchmarks.graphs import CLASSES, mid_graph, tiny_graph
from service.bundle import (
    Bundle,
    Fit,
    Graph,
    Label,
    Manifest,
    Provenance,
    TensorSpec,
    save_golden,
    write_bundle,
)
from service.bundle.manifest import FileDigest

GRAPH_FILE, GOLDEN_FILE = "classify.onnx", "golden.npz"
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Recipe:
    name: str
    summary: str
    size_px: int
    graph: Callable[[int], onnx.ModelProto]


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("tiny", "About 1 ms of one core", 64, tiny_graph),
        Recipe("mid", "MobileNetV2 ×1.5, about 10 ms of one core", 224, mid_graph),
    )
}


def write_benchmark_bundle(repository: Path, recipe: Recipe) -> Bundle:
    """Weights are random but the same every time; the golden answers are the engine's own."""
    size = recipe.size_px
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", size, size, 3))
    answer = TensorSpec(name="probabilities", dtype="float32", shape=("batch", CLASSES))
    model = recipe.graph(size).SerializeToString(deterministic=True)
    images = np.random.default_rng(1).integers(0, 256, (2, size, size, 3), np.uint8)
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"image": images})
    to_come = FileDigest(sha256="0" * 64, size_bytes=0)  # write_bundle puts in the true ones
    manifest = Manifest(
        name=recipe.name,
        version=1,
        task="classify",
        summary=recipe.summary,
        labels=tuple(Label(name=f"class {index}") for index in range(CLASSES)),
        fit=Fit(mode="stretch", height=size, width=size),
        graphs={
            "classify": Graph(
                file=GRAPH_FILE,
                precision="fp32",
                inputs=(image,),
                outputs=(answer,),
                max_batch=32,
                golden_tolerance=TOLERANCE,
            )
        },
        files={GRAPH_FILE: to_come, GOLDEN_FILE: to_come},
        provenance=Provenance(
            command="python -m benchmarks", created=dt.datetime(2025, 1, 1, tzinfo=dt.UTC), seed=0
        ),
        licence="Apache-2.0",
    )
    with tempfile.TemporaryDirectory() as made:
        graph_path, golden_path = Path(made, GRAPH_FILE), Path(made, GOLDEN_FILE)
        graph_path.write_bytes(model)
        save_golden(
            golden_path, {"classify": ({"image": images}, {"probabilities": probabilities})}
        )
        return write_bundle(
            repository, manifest, {GRAPH_FILE: graph_path, GOLDEN_FILE: golden_path}
        )
