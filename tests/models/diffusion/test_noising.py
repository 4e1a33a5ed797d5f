from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr
from scipy.stats import kstest

from models.diffusion.noising import Noised, Noising, squared_error
from models.diffusion.spec import NoiseSpec

SPECS = [NoiseSpec(), NoiseSpec(schedule="scaled-linear", prediction="epsilon")]


def their_scheduler(spec: NoiseSpec) -> DDPMScheduler:
    if spec.schedule == "cosine":
        return DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    return DDPMScheduler(
        beta_schedule="scaled_linear", beta_start=spec.beta_start, beta_end=spec.beta_end
    )


@pytest.mark.parametrize("spec", SPECS)
def test_noised_latents_and_targets_are_those_of_diffusers(spec: NoiseSpec) -> None:
    latents, noise = torch.randn(4, 2, 8, 8), torch.randn(4, 2, 8, 8)
    times = torch.tensor([0.0, 300.0, 700.0, 998.0])
    noised = Noising(spec).noise(latents, times, noise)
    theirs = their_scheduler(spec)
    expected = theirs.add_noise(latents, noise, times.long())
    torch.testing.assert_close(noised.latents, expected, atol=1e-5, rtol=1e-5)
    target = noise
    if spec.prediction == "v":
        target = theirs.get_velocity(latents, noise, times.long())
    torch.testing.assert_close(noised.target, target, atol=1e-5, rtol=1e-5)
    assert (noised.weights == 1).all()


@pytest.mark.parametrize("spec", SPECS)
def test_min_snr_is_that_of_diffusers_examples(spec: NoiseSpec) -> None:
    latents, times = torch.randn(3, 2, 4, 4), torch.tensor([5.0, 400.0, 900.0])
    weights = Noising(spec, min_snr=5.0).noise(latents, times).weights
    snr = compute_snr(their_scheduler(spec), times.long())
    capped = snr.clamp_max(5)
    expected = capped / (snr + 1) if spec.prediction == "v" else capped / snr
    torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-6)


def test_times_are_spread_over_the_whole_course() -> None:
    torch.manual_seed(0)
    times = Noising(NoiseSpec()).draw_times(torch.zeros(50, 1, 1, 1))
    assert torch.equal((times.sort().values / 20).floor(), torch.arange(50.0))
    assert torch.equal(times, times.floor()) and not torch.equal(times, times.sort().values)


@pytest.mark.parametrize("mean", [0.0, 0.6])
def test_logits_of_times_may_be_normal(mean: float) -> None:
    torch.manual_seed(0)
    noising = Noising(NoiseSpec(), logit_mean=mean)
    times = (noising.draw_times(torch.zeros(20_000, 1, 1, 1)) + 0.5) / 1000
    logits = (times / (1 - times)).log().numpy()
    assert kstest(logits - mean, "norm").statistic < 0.01
    assert not torch.equal(times, times.sort().values)


def noised_with(target: torch.Tensor, kept: list[float]) -> Noised:
    nothing = torch.zeros(len(kept))
    return Noised(torch.zeros_like(target), nothing, target, nothing + 1, torch.tensor(kept))


def test_covered_cells_count_more_the_less_noise_there_is() -> None:
    target, covered = torch.randn(2, 3, 2, 2), torch.rand(2, 2, 2) < 0.5
    kept = [1.0, 0.25]
    found = squared_error(
        torch.zeros_like(target), noised_with(target, kept), covered=covered, foreground=5.0
    )
    weights = [
        [1 + 4 * k * float(c) for c in cells.flatten()]
        for k, cells in zip(kept, covered, strict=True)
    ]
    mean = sum(map(sum, weights)) / 8
    for i in range(2):
        squares = target[i].square().mean(0).flatten().tolist()
        expected = sum(w * s for w, s in zip(weights[i], squares, strict=True)) / 4 / mean
        assert found[i].item() == pytest.approx(expected, rel=1e-5)


def test_noise_counts_alike_on_every_scale_and_outlines_more_on_the_coarse() -> None:
    torch.manual_seed(0)
    white = torch.randn(1, 8, 128, 128)
    one, three = (
        squared_error(torch.zeros_like(white), noised_with(white, [0.5]), scales=scales).item()
        for scales in (1, 3)
    )
    assert one == pytest.approx(white.square().mean().item()) and three == pytest.approx(
        one, rel=0.05
    )
    flat = torch.full((1, 1, 8, 8), 0.5)
    found = squared_error(torch.zeros_like(flat), noised_with(flat, [0.5]), scales=3)
    assert found.item() == pytest.approx(0.25 * (1 + 4 + 16) / 3)
