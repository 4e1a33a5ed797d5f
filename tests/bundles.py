"""Tiny real bundles for tests: graphs whose answers are known by arithmetic, made in milliseconds.

B batch, C classes, H W pixels.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.bundle import (
    Bundle,
    Fit,
    Graph,
    Label,
    Manifest,
    Parity,
    Provenance,
    Tensors,
    TensorSpec,
    save_golden,
    write_bundle,
)
from service.bundle.manifest import FileDigest

Floats = npt.NDArray[np.float32]

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "cyan": (0, 255, 255),
    "magenta": (255, 0, 255),
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
}
SHARPNESS = 8.0
"""The logit is -SHARPNESS times the squared distance to the class's colour, RGB in [0, 1]."""
TOLERANCE = 1e-5


def write_tiny_classifier(
    repository: Path,
    *,
    name: str = "tiny",
    version: int = 1,
    labels: Sequence[str] = ("red", "green", "blue"),
    size_px: int = 32,
    max_batch: int = 8,
    matmuls: int = 0,
) -> Bundle:
    """A classifier that knows the names in COLOURS: an image gets the colour nearest to its mean.

    "image" uint8 [batch, size_px, size_px, 3] -> "probabilities" float32 [batch, C].
    Each of `matmuls` makes a sample slower by a product of 512 × 512 matrices, some milliseconds,
    and leaves the answer as it is.
    """
    colours: Floats = np.array([COLOURS[label] for label in labels], np.float32) / np.float32(
        255
    )  # [C, 3]
    weight = (2 * SHARPNESS * colours.T).astype(np.float32)  # [3, C]
    bias = (-SHARPNESS * (colours**2).sum(axis=1)).astype(np.float32)  # [C]
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", size_px, size_px, 3))
    answer = TensorSpec(name="probabilities", dtype="float32", shape=("batch", len(labels)))
    model = _model(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels", "axes"], ["mean"], keepdims=0),
            helper.make_node("Div", ["mean", "peak"], ["plain" if matmuls else "colour"]),
            *_slow_down("plain", "colour", matmuls),
            helper.make_node("Gemm", ["colour", "weight", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        [image],
        [answer],
        axes=np.array([1, 2]),
        peak=np.array(255, np.float32),
        **(_SLOW_CONSTANTS if matmuls else {}),
        weight=weight,
        bias=bias,
    )
    images = _pictures(size_px, colours)
    logits = images.mean(axis=(1, 2), dtype=np.float64) / 255 @ weight + bias  # [B, C]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return _write(
        repository,
        Manifest(
            name=name,
            version=version,
            task="classify",
            summary="Names the colour nearest to the mean of the image",
            labels=tuple(
                Label(name=label, colour="#{:02x}{:02x}{:02x}".format(*COLOURS[label]))
                for label in labels
            ),
            fit=Fit(mode="stretch", height=size_px, width=size_px),
            graphs={"classify": _graph("classify.onnx", [image], [answer], max_batch)},
            files={"classify.onnx": _TO_COME, "golden.npz": _TO_COME},
            defaults={"top_k": min(5, len(labels))},
            provenance=_PROVENANCE,
            licence="Apache-2.0",
        ),
        model,
        {"classify": ({"image": images}, {"probabilities": probabilities})},
    )


def write_iterative(
    repository: Path,
    *,
    name: str = "iterative",
    version: int = 1,
    max_batch: int = 8,
) -> Bundle:
    """A step graph to be run many times over: next_state = state * gain + 1.

    "state" float32 [batch, 4], "gain" float32 [batch, 1] -> "next_state" float32 [batch, 4].
    """
    state = TensorSpec(name="state", dtype="float32", shape=("batch", 4))
    gain = TensorSpec(name="gain", dtype="float32", shape=("batch", 1))
    answer = TensorSpec(name="next_state", dtype="float32", shape=("batch", 4))
    model = _model(
        [
            helper.make_node("Mul", ["state", "gain"], ["scaled"]),
            helper.make_node("Add", ["scaled", "one"], ["next_state"]),
        ],
        [state, gain],
        [answer],
        one=np.array(1, np.float32),
    )
    states = np.arange(12, dtype=np.float32).reshape(3, 4)
    gains = np.array([[0.0], [0.5], [-2.0]], np.float32)
    return _write(
        repository,
        Manifest(
            name=name,
            version=version,
            task="iterate",
            summary="One step of an affine recurrence",
            graphs={"step": _graph("step.onnx", [state, gain], [answer], max_batch)},
            files={"step.onnx": _TO_COME, "golden.npz": _TO_COME},
            provenance=_PROVENANCE,
            licence="Apache-2.0",
        ),
        model,
        {"step": ({"state": states, "gain": gains}, {"next_state": states * gains + 1})},
    )


_SLOW_CONSTANTS: dict[str, npt.NDArray[np.generic]] = {
    "slow_shape": np.array([-1, 512, 512]),
    "slow_axes": np.array([1, 2]),
    "slow_matrix": np.eye(512, dtype=np.float32),
    "slow_row": np.eye(3, 512 * 512, dtype=np.float32),
    "slow_axis": np.array([1]),
    "nothing": np.array(0, np.float32),
}


def _slow_down(given: str, answer: str, matmuls: int) -> list[onnx.NodeProto]:
    """answer = given + 0 · (a sum over a chain of products), which no optimiser sees through."""
    if not matmuls:
        return []
    return [
        helper.make_node("MatMul", [given, "slow_row"], ["slow_flat"]),
        helper.make_node("Reshape", ["slow_flat", "slow_shape"], ["slow_0"]),
        *(
            helper.make_node("MatMul", [f"slow_{i}", "slow_matrix"], [f"slow_{i + 1}"])
            for i in range(matmuls)
        ),
        helper.make_node("ReduceSum", [f"slow_{matmuls}", "slow_axes"], ["slow_sum"], keepdims=0),
        helper.make_node("Mul", ["slow_sum", "nothing"], ["slow_nothing"]),
        helper.make_node("Unsqueeze", ["slow_nothing", "slow_axis"], ["slow_column"]),
        helper.make_node("Add", [given, "slow_column"], [answer]),
    ]


_PROVENANCE = Provenance(command="tests/bundles.py", created=dt.datetime(2025, 1, 1, tzinfo=dt.UTC))
# write_bundle puts the true digests in their place.
_TO_COME = FileDigest(sha256="0" * 64, size_bytes=0)


def _graph(file: str, inputs: list[TensorSpec], outputs: list[TensorSpec], max_batch: int) -> Graph:
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


def _model(
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
    kind = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}[spec.dtype]
    return helper.make_tensor_value_info(spec.name, kind, spec.shape)


def _pictures(size_px: int, colours: Floats) -> npt.NDArray[np.uint8]:
    """One plain image of every colour and one of noise, uint8 [C + 1, H, W, 3]."""
    plain = np.round(colours * 255).astype(np.uint8)[:, None, None, :]
    noise = np.random.default_rng(0).integers(0, 256, (1, size_px, size_px, 3), np.uint8)
    return np.concatenate([np.broadcast_to(plain, (len(colours), *noise.shape[1:])), noise])


def _write(
    repository: Path,
    manifest: Manifest,
    model: onnx.ModelProto,
    golden: Mapping[str, tuple[Tensors, Tensors]],
) -> Bundle:
    (graph,) = manifest.graphs.values()
    with tempfile.TemporaryDirectory() as made:
        onnx_path, golden_path = Path(made, graph.file), Path(made, manifest.golden)
        onnx_path.write_bytes(model.SerializeToString(deterministic=True))
        save_golden(golden_path, golden)
        return write_bundle(
            repository, manifest, {graph.file: onnx_path, manifest.golden: golden_path}
        )
