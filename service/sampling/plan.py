"""Samplers as tables: each step is one linear update whose coefficients are known beforehand.

A step asks the network for its output o at the latents x and a time, and turns it into an estimate
of the clean latents, x0 = p o + q x. Then

    x' = a x + b x0 + c x0_before + d z

with the estimate of the step before (zeros at first) and fresh normal noise z. That is all that any
sampler here does, so one graph runs them all, and samples of one batch need not agree on the
sampler, the number of steps or the step they are at. In terms of x0 every coefficient stays small
where nearly no signal is left; in terms of the noise they grow without bound.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from service.sampling.schedule import Floats, NoiseSchedule

# Legend: S steps; signal s = sqrt(alpha_bar) and noise n = sqrt(1 - alpha_bar) at a time.

SamplerName = Literal["ddpm", "ddim", "euler", "dpm++"]

SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)

#: The columns of `Plan.coefficients`.
COLUMNS = ("a", "b", "c", "d", "p", "q")


@dataclass(frozen=True)
class Plan:
    """What to give the step graph at each of S steps, the noisiest first.

    `timesteps` float32 [S]; `coefficients` float32 [S, 6], columns a, b, c, d, p, q; `noisy` where
    some step adds noise. Start from standard normal latents.
    """

    timesteps: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    noisy: bool

    def __len__(self) -> int:
        return len(self.timesteps)


def plan(sampler: str, schedule: NoiseSchedule, steps: int, eta: float = 0.0) -> Plan:
    """The table of a sampler.

    `ddpm` is ancestral sampling (Ho et al. 2020), with steps skipped; `ddim` goes from none of its
    noise at `eta` 0 to all of it at 1 (Song et al. 2020); `euler` solves the probability flow in
    the ratio of noise to signal (Karras et al. 2022), where a step is DDIM's, on a finer grid of
    times; `dpm++` is DPM-Solver++(2M) (Lu et al. 2022).
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"no sampler {sampler!r}; there are {', '.join(SAMPLERS)}")
    if not 1 <= steps <= schedule.train_steps:
        raise ValueError(f"steps must lie in 1 to {schedule.train_steps}, got {steps}")
    if not 0 <= eta <= 1 or (eta > 0 and sampler != "ddim"):
        raise ValueError(f"eta is ddim's, in 0 to 1; got {eta} for {sampler}")
    times = _even_times(schedule, steps) if sampler == "euler" else _last_times(schedule, steps)
    alpha_bar = schedule.alpha_bar(times)
    # After the last step there is no noise left.
    signal, noise = np.sqrt(alpha_bar), np.sqrt(1 - alpha_bar)
    after_signal, after_noise = np.append(signal[1:], 1.0), np.append(noise[1:], 0.0)
    update = _UPDATES[sampler](_Grid(signal, noise, after_signal, after_noise), eta)
    estimate = (-noise, signal) if schedule.prediction == "v" else (-noise / signal, 1 / signal)
    coefficients = np.stack([*update, *estimate], axis=1)  # [S, 6]
    return Plan(
        times.astype(np.float32), coefficients.astype(np.float32), noisy=bool(update[3].any())
    )


@dataclass(frozen=True)
class _Grid:
    """Signal and noise before and after each step, all [S]."""

    signal: Floats
    noise: Floats
    after_signal: Floats
    after_noise: Floats


#: a, b, c, d, all [S].
_Update = tuple[Floats, Floats, Floats, Floats]


def _ddim(grid: _Grid, eta: float) -> _Update:
    """Song et al. 2020, equations 12 and 16.

    x' = s' x0 + sqrt(n'^2 - sigma^2) e + sigma z, with the noise e = (x - s x0) / n.
    """
    kept = (grid.signal / grid.after_signal) ** 2  # alpha of this step, of all that it skips
    sigma = eta * grid.after_noise / grid.noise * np.sqrt(1 - kept)
    direction = np.sqrt(grid.after_noise**2 - sigma**2) / grid.noise
    return direction, grid.after_signal - direction * grid.signal, np.zeros_like(sigma), sigma


def _ddpm(grid: _Grid, eta: float) -> _Update:
    """Ho et al. 2020, equation 7: the posterior's mean and deviation given x0."""
    kept = (grid.signal / grid.after_signal) ** 2
    a = np.sqrt(kept) * (grid.after_noise / grid.noise) ** 2
    b = grid.after_signal * (1 - kept) / grid.noise**2
    return a, b, np.zeros_like(a), grid.after_noise / grid.noise * np.sqrt(1 - kept)


def _euler(grid: _Grid, eta: float) -> _Update:
    """Karras et al. 2022, with x / s in place of x and n / s in place of time.

    x' / s' = x / s + (n' / s' - n / s) e, with the noise e = (x - s x0) / n.
    """
    slope = (grid.after_noise / grid.after_signal - grid.noise / grid.signal) / grid.noise
    a = grid.after_signal * (1 / grid.signal + slope)
    b = -grid.after_signal * slope * grid.signal
    zeros = np.zeros_like(a)
    return a, b, zeros, zeros


def _dpm(grid: _Grid, eta: float) -> _Update:
    """Lu et al. 2022, algorithm 2; the first and the last step are of the first order."""
    half_log_snr = np.log(grid.signal) - np.log(grid.noise)  # lambda
    h = np.diff(half_log_snr)  # of every step but the last, for which it is infinite
    ratio = grid.after_noise / grid.noise
    pulled = grid.after_signal - ratio * grid.signal  # -s' (exp(-h) - 1)
    before = np.zeros_like(pulled)
    before[1:-1] = h[1:] / (2 * h[:-1])  # 1 / 2r
    return ratio, pulled * (1 + before), -pulled * before, np.zeros_like(pulled)


_UPDATES: dict[str, Callable[[_Grid, float], _Update]] = {
    "ddpm": _ddpm,
    "ddim": _ddim,
    "euler": _euler,
    "dpm++": _dpm,
}


def _last_times(schedule: NoiseSchedule, steps: int) -> Floats:
    """Whole times, the last training step among them (Lin et al. 2023 call them trailing)."""
    count = schedule.train_steps
    return np.round(count - np.arange(steps) * (count / steps)) - 1


def _even_times(schedule: NoiseSchedule, steps: int) -> Floats:
    """From the last training step to the first, not rounded."""
    return np.linspace(schedule.train_steps - 1, 0, steps)
