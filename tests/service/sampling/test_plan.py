"""Whole trajectories against the schedulers of diffusers, for a network that is not linear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
)
from numpy.typing import NDArray

from service.sampling import SAMPLERS, Plan, plan, schedule_of

# Schedulers of diffusers turn a tensor into an array in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

Latents = NDArray[np.float64]

SCHEDULES: dict[str, dict[str, Any]] = {
    "linear": {"beta_start": 1e-4, "beta_end": 0.02},
    "scaled-linear": {"beta_start": 0.00085, "beta_end": 0.012},
    "cosine": {},
}
THEIR_NAMES = {"linear": "linear", "scaled-linear": "scaled_linear", "cosine": "squaredcos_cap_v2"}
CASES = [(s, p) for s in SCHEDULES for p in ("epsilon", "v") if (s, p) != ("cosine", "epsilon")]


def network(x: Latents, time: float) -> Latents:
    return np.tanh(0.8 * x + 0.3 * np.sin(time / 90))


def defaults(schedule: str, prediction: str) -> dict[str, Any]:
    figures = {"schedule": schedule, "train_steps": 1000, "prediction": prediction}
    return figures | SCHEDULES[schedule]


def config(schedule: str, prediction: str, spacing: str) -> dict[str, Any]:
    return {
        "beta_schedule": THEIR_NAMES[schedule],
        "prediction_type": "epsilon" if prediction == "epsilon" else "v_prediction",
        "timestep_spacing": spacing,
    } | SCHEDULES[schedule]


def exact(scheduler: Any, schedule: str) -> Any:
    """Their figures are float32, in which the last 1e-9 of the cosine's signal is lost."""
    scheduler.alphas_cumprod = torch.from_numpy(schedule_of(defaults(schedule, "v")).alphas_cumprod)
    return scheduler


def walk(table: Plan, start: Latents, noises: list[Latents]) -> list[Latents]:
    """What the step graph does."""
    x, before, states = start, np.zeros_like(start), []
    for time, row, noise in zip(table.timesteps, table.coefficients, noises, strict=True):
        a, b, c, d, p, q = row
        estimate = p * network(x, float(time)) + q * x
        x = a * x + b * estimate + c * before + d * noise
        before = estimate
        states.append(x)
    return states


def draws(steps: int) -> tuple[Latents, list[Latents]]:
    rng = np.random.default_rng(5)
    normal = rng.standard_normal((steps + 1, 2, 4, 4, 4))
    return normal[0], list(normal[1:])


def assert_close(ours: list[Latents], theirs: list[Latents]) -> None:
    for step, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        scale = max(1.0, float(np.abs(other).max()))
        assert np.abs(mine - other).max() < 1e-5 * scale, f"step {step}"


@pytest.mark.parametrize(("schedule", "prediction"), CASES)
@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0])
def test_ddim_goes_where_diffusers_goes(schedule: str, prediction: str, eta: float) -> None:
    scheduler = exact(
        DDIMScheduler(**config(schedule, prediction, "trailing"), clip_sample=False), schedule
    )
    scheduler.set_timesteps(20)
    start, noises = draws(20)
    table = plan("ddim", schedule_of(defaults(schedule, prediction)), 20, eta)
    np.testing.assert_array_equal(table.timesteps, scheduler.timesteps)
    x, theirs = torch.from_numpy(start), []
    for time, noise in zip(scheduler.timesteps, noises, strict=True):
        out = torch.from_numpy(network(x.numpy(), float(time)))
        x = scheduler.step(
            out, time, x, eta=eta, variance_noise=torch.from_numpy(noise) if eta else None
        ).prev_sample
        theirs.append(x.numpy())
    assert_close(walk(table, start, noises), theirs)
    assert table.noisy == (eta > 0)


@pytest.mark.parametrize(("schedule", "prediction"), CASES)
@pytest.mark.parametrize("steps", [25, 100])
def test_ddpm_goes_where_diffusers_goes(
    schedule: str, prediction: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers.schedulers import scheduling_ddpm

    scheduler = exact(
        DDPMScheduler(**config(schedule, prediction, "trailing"), clip_sample=False), schedule
    )
    scheduler.set_timesteps(steps)
    start, noises = draws(steps)
    coming = iter(noises)
    # Their scheduler draws its noise itself.
    monkeypatch.setattr(
        scheduling_ddpm, "randn_tensor", lambda *_, **__: torch.from_numpy(next(coming))
    )
    table = plan("ddpm", schedule_of(defaults(schedule, prediction)), steps)
    x, theirs = torch.from_numpy(start), []
    for time in scheduler.timesteps:
        out = torch.from_numpy(network(x.numpy(), float(time)))
        x = scheduler.step(out, int(time), x).prev_sample
        theirs.append(x.numpy())
    assert_close(walk(table, start, noises), theirs)
    assert table.noisy


@pytest.mark.parametrize(("schedule", "prediction"), CASES)
@pytest.mark.parametrize("steps", [8, 20])
def test_dpm_goes_where_diffusers_goes(schedule: str, prediction: str, steps: int) -> None:
    scheduler = exact(
        DPMSolverMultistepScheduler(**config(schedule, prediction, "trailing")), schedule
    )
    scheduler.set_timesteps(steps)
    start, noises = draws(steps)
    table = plan("dpm++", schedule_of(defaults(schedule, prediction)), steps)
    np.testing.assert_array_equal(table.timesteps, scheduler.timesteps)
    x, theirs = torch.from_numpy(start), []
    for time in scheduler.timesteps:
        out = torch.from_numpy(network(x.numpy(), float(time)))
        x = scheduler.step(out, time, x).prev_sample
        theirs.append(x.numpy())
    assert_close(walk(table, start, noises), theirs)


@pytest.mark.parametrize(("schedule", "prediction"), [c for c in CASES if c[0] != "cosine"])
def test_euler_goes_where_diffusers_goes_in_another_frame(schedule: str, prediction: str) -> None:
    scheduler = exact(EulerDiscreteScheduler(**config(schedule, prediction, "linspace")), schedule)
    scheduler.set_timesteps(20)
    start, noises = draws(20)
    table = plan("euler", schedule_of(defaults(schedule, prediction)), 20)
    np.testing.assert_allclose(table.timesteps, scheduler.timesteps, rtol=1e-6)
    sigmas = scheduler.sigmas.numpy()  # noise over signal
    frame = np.sqrt(sigmas**2 + 1)  # their state is ours times this
    x, theirs = torch.from_numpy(start * frame[0]), []
    for i, time in enumerate(scheduler.timesteps):
        seen = scheduler.scale_model_input(x, time).numpy()
        out = torch.from_numpy(network(seen, float(time)))
        x = scheduler.step(out, time, x).prev_sample
        theirs.append((x / frame[i + 1]).numpy())
    assert_close(walk(table, start, noises), theirs)


def test_ancestral_sampling_is_ddim_with_all_its_noise() -> None:
    schedule = schedule_of(defaults("linear", "epsilon"))
    ancestral, implicit = plan("ddpm", schedule, 30), plan("ddim", schedule, 30, eta=1.0)
    np.testing.assert_allclose(ancestral.coefficients, implicit.coefficients, atol=1e-6)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("schedule", "prediction"), [*CASES, ("cosine", "epsilon")])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 999, 1000])
def test_a_perfect_network_gets_the_image_back(
    sampler: str, schedule: str, prediction: str, steps: int
) -> None:
    """Whatever the noise, x0 is what the last step leaves."""
    table = plan(sampler, schedule_of(defaults(schedule, prediction)), steps)
    assert table.coefficients.shape == (steps, 6) and np.isfinite(table.coefficients).all()
    a, b, c, d, _, _ = table.coefficients.astype(np.float64).T
    assert a[-1] == pytest.approx(0, abs=1e-6) and d[-1] == pytest.approx(0, abs=1e-6)
    assert b[-1] + c[-1] == pytest.approx(1, abs=1e-6)
    assert (np.diff(table.timesteps) < 0).all() and table.timesteps[0] == 999


@pytest.mark.parametrize(
    ("sampler", "steps", "eta"),
    [("heun", 20, 0.0), ("ddim", 0, 0.0), ("ddim", 1001, 0.0), ("ddim", 9, 1.5), ("dpm++", 9, 0.5)],
)
def test_nonsense_is_refused(sampler: str, steps: int, eta: float) -> None:
    with pytest.raises(ValueError, match=r"sampler|steps|eta"):
        plan(sampler, schedule_of(defaults("linear", "epsilon")), steps, eta)
