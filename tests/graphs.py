"""Graphs made of ONNX nodes, and bundles of them: what the tiny models are built with."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.bundle import (
    Bundle,
    Graph,
    Manifest,
    Parity,
    Provenance,
    Tensors,
    TensorSpec,
    save_golden,
    write_bundle,
)
from service.bundle.manifest import FileDigest

TOLERANCE = 1e-5
PROVENANCE = Provenance(command="tests/bundles.py", created=dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
# write_bundle puts the true digests in their place.
TO_COME = FileDigest(sha256="0" * 64, size_bytes=0)


def graph_of(
    file: str, inputs: list[TensorSpec], outputs: list[TensorSpec], max_batch: int
) -> Graph:
    """What a manifest says of a graph that is as PyTorch would have it."""
    return Graph(
        file=file,
        precision="fp32",
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        max_batch=max_batch,
        golden_tolerance=TOLERANCE,
        parity=tuple(
            Parity(batch=3, output=output.name, max_abs=0.0, tolerance=TOLERANCE)
            for output in outputs
        ),
    )


def onnx_of(
    nodes: list[onnx.NodeProto],
    inputs: list[TensorSpec],
    outputs: list[TensorSpec],
    **constants: npt.NDArray[np.generic],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [_value_info(spec) for spec in inputs],
        [_value_info(spec) for spec in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def _value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    kinds = {
        "uint8": TensorProto.UINT8,
        "int32": TensorProto.INT32,
        "int64": TensorProto.INT64,
        "float32": TensorProto.FLOAT,
    }
    return helper.make_tensor_value_info(spec.name, kinds[spec.dtype], spec.shape)


def write_made(
    repository: Path,
    manifest: Manifest,
    models: Mapping[str, onnx.ModelProto],
    golden: Mapping[str, tuple[Tensors, Tensors]],
    texts: Mapping[str, str] | None = None,
) -> Bundle:
    """A bundle of the graphs by role, of golden tensors, and of files that are text."""
    with tempfile.TemporaryDirectory() as made:
        paths = {name: Path(made, name) for name in manifest.files}
        for role, model in models.items():
            data = model.SerializeToString(deterministic=True)
            paths[manifest.graphs[role].file].write_bytes(data)
        save_golden(paths[manifest.golden], golden)
        for name, text in (texts or {}).items():
            paths[name].write_text(text, encoding="utf-8")
        return write_bundle(repository, manifest, paths)
