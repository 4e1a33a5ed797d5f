"""The proof that an exported graph is the model: equal answers to equal inputs, at any batch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exporters.errors import ParityError
from exporters.session import CpuSession
from service.bundle import Parity, Tensors

TRACE_BATCH: Final = 2
PARITY_BATCHES: Final = (1, 2, 3, 8)
FP32_TOLERANCE: Final = 1e-4


def measure_parity(
    graph: Path,
    samples: Tensors,
    expected: Tensors,
    *,
    tolerances: Mapping[str, float],
    batches: Sequence[int] = PARITY_BATCHES,
    by_share: Collection[str] = (),
) -> tuple[Parity, ...]:
    """The largest |ONNX Runtime - PyTorch| of every output in `tolerances` at every batch size;
    of those in `by_share` the share of numbers that differ.

    `expected` is what PyTorch answered to `samples`, at least as many as the largest batch, all
    at once: so a sample that is changed by its neighbours shows. ParityError where an output
    exceeds its tolerance, has another shape or is not finite.
    """
    session = CpuSession(graph)
    found = []
    for batch in batches:
        try:
            answers = session.run({name: value[:batch] for name, value in samples.items()})
        except Exception as error:  # the C API's types have no base of their own
            raise ParityError(f"the graph does not run at batch {batch}: {error}") from error
        for output, tolerance in tolerances.items():
            distance = max_distance(
                expected[output][:batch], answers[output], by_share=output in by_share
            )
            if not distance <= tolerance:
                raise ParityError(
                    f"{output} differs from PyTorch by {distance:.3g} at batch {batch}, "
                    f"more than {tolerance:.3g}"
                )
            found.append(Parity(batch=batch, output=output, max_abs=distance, tolerance=tolerance))
    return tuple(found)


def run_torch(module: nn.Module, inputs: Tensors, outputs: Sequence[str]) -> Tensors:
    """What PyTorch answers, by the graph's names."""
    with torch.inference_mode():
        answer = module(*(torch.from_numpy(value) for value in inputs.values()))
    tensors: Sequence[Tensor] = (answer,) if isinstance(answer, Tensor) else tuple(answer)
    return {name: t.numpy() for name, t in zip(outputs, tensors, strict=True)}


def max_distance(
    expected: npt.NDArray[np.generic], found: npt.NDArray[np.generic], *, by_share: bool = False
) -> float:
    """The largest |difference|, or the share of numbers that are not equal; infinite where shapes
    differ or a value is not finite."""
    if expected.shape != found.shape:
        return float("inf")
    if by_share:
        return float((expected != found).mean())
    gap = np.abs(expected.astype(np.float64) - found.astype(np.float64))
    return float(gap.max(initial=0.0)) if np.isfinite(gap).all() else float("inf")
