from __future__ import annotations

import numpy as np
import pytest
from diffusers import DDPMScheduler

from service.sampling import NoiseSchedule, schedule_of

LINEAR = {"schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}
SCALED = {"schedule": "scaled-linear", "beta_start": 0.00085, "beta_end": 0.012}
COSINE = {"schedule": "cosine"}


@pytest.mark.parametrize(
    ("defaults", "theirs"),
    [
        (LINEAR, {"beta_schedule": "linear"}),
        (
            SCALED,
            {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
        ),
        (COSINE, {"beta_schedule": "squaredcos_cap_v2"}),
    ],
)
@pytest.mark.parametrize("steps", [1000, 50])
def test_schedules_are_those_of_diffusers(
    defaults: dict[str, object], theirs: dict[str, object], steps: int
) -> None:
    ours = schedule_of({**defaults, "train_steps": steps})
    expected = DDPMScheduler(num_train_timesteps=steps, **theirs).alphas_cumprod.numpy()
    np.testing.assert_allclose(ours.alphas_cumprod, expected, rtol=2e-5, atol=1e-9)


def test_between_two_steps_the_ratio_of_noise_to_signal_is_linear() -> None:
    schedule = schedule_of({**LINEAR, "train_steps": 1000})
    ratios = np.sqrt(1 / schedule.alpha_bar(np.array([10.0, 10.25, 11.0])) - 1)
    assert ratios[1] == pytest.approx(0.75 * ratios[0] + 0.25 * ratios[2])
    assert schedule.alpha_bar(np.array([999.0]))[0] == pytest.approx(schedule.alphas_cumprod[-1])


@pytest.mark.parametrize(
    "defaults",
    [
        {"schedule": "square", "train_steps": 10},
        {**LINEAR, "train_steps": 0},
        {"schedule": "linear", "train_steps": 10, "beta_start": 0.5, "beta_end": 0.1},
        {**COSINE, "train_steps": 10, "prediction": "score"},
    ],
)
def test_nonsense_is_refused(defaults: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"schedule|train_steps|beta_start|prediction"):
        schedule_of(defaults)


def test_a_schedule_must_fall() -> None:
    with pytest.raises(ValueError, match="fall"):
        NoiseSchedule(np.array([0.9, 0.95]))
