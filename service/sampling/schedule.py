"""Noise schedules: how much of an image is left after so many steps of noising."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

# Legend: N training steps; alpha_bar the share of the signal's variance that is left (Ho et al.
# 2020), so that x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise.

Floats = NDArray[np.float64]

#: What the network says of x_t: its noise, or v = sqrt(alpha_bar) noise - sqrt(1 - alpha_bar) x_0.
Prediction = Literal["epsilon", "v"]

#: `linear` is Ho et al.'s, `scaled-linear` Stable Diffusion's, `cosine` Nichol and Dhariwal's.
ScheduleName = Literal["linear", "scaled-linear", "cosine"]

SCHEDULES: tuple[ScheduleName, ...] = get_args(ScheduleName)

_COSINE_OFFSET = 0.008
_LARGEST_BETA = 0.999


@dataclass(frozen=True)
class NoiseSchedule:
    """`alphas_cumprod` float64 [N] falls from nearly 1 to nearly 0; `prediction` is the network's.

    Times count from 0 to N - 1 and need not be whole.
    """

    alphas_cumprod: Floats
    prediction: Prediction = "epsilon"

    def __post_init__(self) -> None:
        values = self.alphas_cumprod
        if values.ndim != 1 or len(values) < 1:
            raise ValueError(f"alphas_cumprod must be a row of numbers, got shape {values.shape}")
        if not (values[0] < 1 and values[-1] > 0 and bool(np.all(np.diff(values) < 0))):
            raise ValueError("alphas_cumprod must fall and stay between 0 and 1")
        if self.prediction not in get_args(Prediction):
            raise ValueError(f"no prediction {self.prediction!r}: {get_args(Prediction)}")

    @property
    def train_steps(self) -> int:
        return len(self.alphas_cumprod)

    def alpha_bar(self, times: Floats) -> Floats:
        """At any times in [0, N - 1]; between two steps the ratio of noise to signal is linear."""
        ratios = np.sqrt(1 / self.alphas_cumprod - 1)
        between = np.interp(times, np.arange(self.train_steps), ratios)
        return np.asarray(1 / (between**2 + 1), np.float64)


def schedule_of(defaults: Mapping[str, Any]) -> NoiseSchedule:
    """From a manifest's defaults: `schedule`, `train_steps`, `prediction`, and for the two linear
    ones `beta_start` and `beta_end`.
    """
    name, steps = defaults["schedule"], int(defaults["train_steps"])
    if steps < 1:
        raise ValueError(f"train_steps must be at least 1, got {steps}")
    if name == "cosine":
        betas = _cosine(steps)
    elif name in ("linear", "scaled-linear"):
        betas = _linear(name, float(defaults["beta_start"]), float(defaults["beta_end"]), steps)
    else:
        raise ValueError(f"no schedule {name!r}; there are {', '.join(SCHEDULES)}")
    alphas_cumprod = np.asarray(np.cumprod(1 - betas), np.float64)
    return NoiseSchedule(alphas_cumprod, defaults.get("prediction", "epsilon"))


def _linear(name: str, start: float, end: float, steps: int) -> Floats:
    if not 0 < start <= end < 1:
        raise ValueError(f"need 0 < beta_start <= beta_end < 1, got {start} and {end}")
    if name == "linear":
        return np.linspace(start, end, steps, dtype=np.float64)
    roots: Floats = np.linspace(math.sqrt(start), math.sqrt(end), steps)
    return roots * roots


def _cosine(steps: int) -> Floats:
    """Nichol and Dhariwal 2021, equation 17."""
    places = np.arange(steps + 1) / steps
    left = np.cos((places + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * np.pi / 2) ** 2
    betas: Floats = np.minimum(1 - left[1:] / left[:-1], _LARGEST_BETA)
    return betas
