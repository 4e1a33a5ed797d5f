"""How far a graph is from its golden outputs, and how far another engine may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from exporters.errors import ParityError
from exporters.parity import max_distance
from exporters.session import CpuSession
from service.bundle import Tensors
from service.bundle.manifest import Precision

MARGIN: Final = 4.0
FLOOR: Final[Mapping[Precision, float]] = {
    # TF32, the default of convolutions on recent NVIDIA GPUs, keeps 10 bits of a float32.
    "fp32": 2e-3,
    "fp16": 5e-3,
    "int8": 5e-2,
    "fp8": 5e-2,
}


def measure_tolerance(
    graph: Path, precision: Precision, inputs: Tensors, expected: Tensors
) -> float:
    """The golden tolerance for this graph: see `golden_tolerance`."""
    found = CpuSession(graph).run(inputs)
    drift = max(max_distance(expected[name], found[name]) for name in expected)
    if not math.isfinite(drift):
        raise ParityError(f"{graph.name} answers something not finite, or of another shape")
    magnitude = max(float(np.abs(output).max(initial=0.0)) for output in expected.values())
    return golden_tolerance(precision, drift, magnitude)


def golden_tolerance(precision: Precision, drift: float, magnitude: float) -> float:
    """What another engine may add to the measured drift, rounded up to two digits.

    Outputs larger than 1 in `magnitude` are allowed more in proportion.
    """
    wanted = max(MARGIN * drift, FLOOR[precision] * max(1.0, magnitude))
    unit = 10.0 ** (math.floor(math.log10(wanted)) - 1)
    return float(f"{math.ceil(wanted / unit - 1e-9) * unit:.1e}")
