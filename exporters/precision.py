"""Smaller graphs: weights stored in half precision, and static quantisation to eight bits."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from exporters.errors import ExportError
from exporters.graph import load_graph, save_graph, tidy
from exporters.session import batches
from service.bundle import Tensors

HALF_MIN_ELEMENTS: Final = 256
HALF_MAX_RELATIVE_ERROR: Final = 1e-3

MATRIX_TYPES: Final = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
BETWEEN_CONVOLUTIONS: Final = frozenset(
    {"Add", "AveragePool", "Clip", "Concat", "GlobalAveragePool", "HardSigmoid", "HardSwish"}
    | {"LeakyRelu", "MaxPool", "Mul", "Pad", "Relu", "Resize", "Sigmoid"}
    | {"Flatten", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)


def store_half(model: ir.Model) -> ir.Model:
    """The same graph with its large weights as float16, each cast to float32 where it is read.

    Engines fold the casts at load, so that it computes in float32 as before. Biases, the scales of
    norms and weights that float16 cannot hold (too large, or all subnormal) stay as they are.
    """
    for value in list(model.graph.initializers.values()):
        weight = value.const_value
        if weight is None or weight.dtype != ir.DataType.FLOAT:
            continue
        single = weight.numpy()
        if single.ndim < 2 or single.size < HALF_MIN_ELEMENTS or not fits_half(single):
            continue
        assert value.name is not None
        name = value.name
        half = ir.val(f"{name}.half", const_value=ir.tensor(single.astype(np.float16)))
        cast = ir.node("Cast", [half], attributes={"to": ir.DataType.FLOAT.value})
        del model.graph.initializers[name]
        cast.outputs[0].name = name
        value.replace_all_uses_with(cast.outputs[0])
        model.graph.register_initializer(half)
        model.graph.insert_before(model.graph[0], cast)
    return tidy(model)


def fits_half(single: npt.NDArray[np.float32]) -> bool:
    """Whether float16 holds these numbers: none too large, and not all of them subnormal."""
    with np.errstate(over="ignore"):
        half = single.astype(np.float16)
    if not np.isfinite(half).all():
        return False
    error = np.linalg.norm(half.astype(np.float32) - single)
    return bool(error <= HALF_MAX_RELATIVE_ERROR * np.linalg.norm(single))


@dataclass(frozen=True)
class Calibration:
    """How the range of every activation is found: its extremes, or with its tail cut off."""

    method: Literal["minmax", "percentile", "entropy"]
    percentile: float | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.percentile:g}" if self.percentile else self.method


CALIBRATIONS: Final = (
    Calibration("minmax"),
    Calibration("percentile", 99.999),
    Calibration("percentile", 99.99),
    Calibration("entropy"),
)


@dataclass(frozen=True)
class Quantized:
    """The best of the graphs that were tried, and how far each was off."""

    model: ir.Model
    calibration: Calibration
    losses: dict[str, float]


def quantize(
    graph: Path,
    samples: Tensors,
    loss: Callable[[Path], float],
    *,
    calibrations: Sequence[Calibration] = CALIBRATIONS,
    batch: int = 8,
) -> Quantized:
    """The graph in 8 bits: unsigned activations, signed weights, a scale for every channel.

    The ranges come from running `samples` through the graph in every way of `calibrations`; the
    way whose graph has the lowest `loss` wins. Neither should see the data that the result is
    reported on. Norms and softmax stay in float32.
    """
    best: tuple[float, Calibration, bytes] | None = None
    losses = {}
    with tempfile.TemporaryDirectory() as made:
        prepared, candidate = Path(made, "prepared.onnx"), Path(made, "candidate.onnx")
        with _quiet():
            quant_pre_process(graph, prepared, skip_symbolic_shape=True)
        for calibration in calibrations:
            _quantize_once(prepared, candidate, samples, calibration, batch)
            save_graph(tidy(load_graph(candidate)), candidate)
            lost = losses[str(calibration)] = loss(candidate)
            if best is None or lost < best[0]:
                best = lost, calibration, candidate.read_bytes()
        if best is None or not np.isfinite(best[0]):
            raise ExportError(f"no calibration gave a graph that works: {losses}")
        candidate.write_bytes(best[2])
        return Quantized(load_graph(candidate), best[1], losses)


def _quantize_once(
    graph: Path, quantized: Path, samples: Tensors, calibration: Calibration, batch: int
) -> None:
    method = {
        "minmax": quantization.CalibrationMethod.MinMax,
        "percentile": quantization.CalibrationMethod.Percentile,
        "entropy": quantization.CalibrationMethod.Entropy,
    }[calibration.method]
    options: dict[str, object] = {
        # One batch at a time: a histogram of all would first hold every activation of all.
        "CalibStridedMinMax": 1,
        # The next layer, or the softmax, reads these in float32: rounding them only loses.
        "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
    }
    if calibration.percentile is not None:
        options["CalibPercentile"] = calibration.percentile
    with _quiet():
        quantization.quantize_static(
            graph,
            quantized,
            _Reader(list(batches(samples, batch))),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_quantizable_types(load_graph(graph)),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=method,
            extra_options=options,
        )


def _quantizable_types(model: ir.Model) -> list[str]:
    """Products always; what lies between two convolutions too, so that data stays in 8 bits.

    Not in a transformer: its residual stream has outliers that 8 bits cannot hold beside the rest
    (Bondarenko et al. 2021).
    """
    types = {node.op_type for node in model.graph}
    is_transformer = "LayerNormalization" in types
    return sorted(MATRIX_TYPES if is_transformer else MATRIX_TYPES | BETWEEN_CONVOLUTIONS)


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # the base is untyped
    """The calibration batches of a range, one after the other."""

    def __init__(self, parts: list[Tensors]) -> None:
        self._parts = parts
        self._left: Iterator[Tensors] = iter(parts)

    def __len__(self) -> int:
        return len(self._parts)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._left = iter(self._parts[start_index:end_index])

    def get_next(self) -> Tensors | None:
        return next(self._left, None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser prints its progress; nobody asked for it."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
