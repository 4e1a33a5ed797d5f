"""How far a graph is from its golden outputs, and how far another engine may be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from service.bundle.manifest import Precision

MARGIN: Final = 4.0
FLOOR: Final[Mapping[Precision, float]] = {
    # TF32, the default of convolutions on recent NVIDIA GPUs, keeps 10 bits of a float32.
    "fp32": 2e-3,
    "fp16": 5e-3,
    "int8": 5e-2,
    "fp8": 5e-2,
    # Another engine adds in another order, and rounds in other places.
    "fp16-compute": 2e-2,
}
CEILING: Final[Mapping[Precision, float]] = {"fp16-compute": 5e-2}
"""What the measured drift may be, relative to the largest output, before it is no longer the model.
"""


def most_drift(precision: Precision, magnitude: float) -> float:
    return CEILING.get(precision, math.inf) * max(1.0, magnitude)


def golden_tolerance(precision: Precision, drift: float, magnitude: float) -> float:
    """What another engine may add to the measured drift, rounded up to two digits.

    Outputs larger than 1 in `magnitude` are allowed more in proportion.
    """
    wanted = max(MARGIN * drift, FLOOR[precision] * max(1.0, magnitude))
    unit = 10.0 ** (math.floor(math.log10(wanted)) - 1)
    return float(f"{math.ceil(wanted / unit - 1e-9) * unit:.1e}")
