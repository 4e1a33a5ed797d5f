"""Noising latents for training, and what the network should say of them."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.diffusion.painter import noise_schedule
from models.diffusion.spec import NoiseSpec

# Legend: B batch, C latent channels, h w cells, N training steps.


class Noised(NamedTuple):
    """Latents and target [B, C, h, w]; times, weights and the share of signal `kept` float [B]."""

    latents: Tensor
    times: Tensor
    target: Tensor
    weights: Tensor
    kept: Tensor


class Noising:
    """Ho et al. 2020, equation 4, and for v Salimans and Ho 2022, appendix D."""

    def __init__(
        self, spec: NoiseSpec, min_snr: float = 0.0, *, logit_mean: float | None = None
    ) -> None:
        schedule = noise_schedule(spec)
        self._alphas = torch.from_numpy(schedule.alphas_cumprod)  # [N]
        self._prediction = schedule.prediction
        self._min_snr = min_snr
        self._logit_mean = logit_mean

    def draw_times(self, latents: Tensor) -> Tensor:
        """One time a sample, whole, from 0 to N - 1: one from each of B equally likely parts.

        All times are as likely as one another, or their logits are normal (Esser et al. 2024,
        equation 19) with the given mean and deviation 1. Float [B].
        """
        count, steps = len(latents), len(self._alphas)
        places = (torch.arange(count) + torch.rand(count)) / count
        if self._logit_mean is not None:
            normal = torch.special.ndtri(places.clamp(1e-4, 1 - 1e-4))
            places = (normal + self._logit_mean).sigmoid()
        times = (places * steps).floor().clamp_max(steps - 1)
        return times[torch.randperm(count)].to(latents.device)

    def noise(self, latents: Tensor, times: Tensor, noise: Tensor | None = None) -> Noised:
        """Noise of one's own may be given."""
        drawn = torch.randn_like(latents) if noise is None else noise
        kept = self._alphas.to(times.device)[times.long()]  # [B]
        signal, spread = (x.sqrt().to(latents.dtype)[:, None, None, None] for x in (kept, 1 - kept))
        target = signal * drawn - spread * latents if self._prediction == "v" else drawn
        noised = signal * latents + spread * drawn
        return Noised(noised, times, target, self._weights(kept), kept.float())

    def _weights(self, kept: Tensor) -> Tensor:
        """1, or Hang et al. 2023, equation 8, for what is predicted, float [B]."""
        ratio = kept / (1 - kept)
        if self._min_snr == 0:
            return torch.ones_like(kept, dtype=torch.float32)
        capped = ratio.clamp_max(self._min_snr)
        return (capped / (ratio + 1 if self._prediction == "v" else ratio)).float()


def squared_error(
    answer: Tensor,
    noised: Noised,
    *,
    covered: Tensor | None = None,
    foreground: float = 1.0,
    scales: int = 1,
) -> Tensor:
    """The mean squared error of each sample, float [B].

    Cells that are `covered` (bool [B, h, w]) count `foreground` times where no noise is left, and
    the less the more there is. On each further scale, of maps averaged over 2 x 2 cells, 4 x 4 and
    so on, white noise counts as much, and what is large more.
    """
    errors = answer - noised.target  # [B, C, h, w]
    squares = errors.square().mean(1)  # [B, h, w]
    emphasis = torch.ones_like(squares)
    if covered is not None:
        emphasis = emphasis + (foreground - 1) * noised.kept[:, None, None] * covered
    total = (emphasis * squares).mean((1, 2)) / emphasis.mean()
    for level in range(1, scales):
        coarse = F.avg_pool2d(errors, 2**level)
        total = total + 4**level * coarse.square().mean((1, 2, 3))
    return total / scales
