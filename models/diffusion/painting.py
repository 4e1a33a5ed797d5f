"""From prompts to pictures, with the tables of steps that the server uses."""

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor

from models.clip import encode
from models.diffusion.painter import Painter, noise_schedule
from models.training.sampling import mix_seed
from service.sampling import Plan, plan

# Legend: B batch, C latent channels, h w cells of the latent map, T tokens, D width of the text,
# H W pixels.


@torch.inference_mode()
def paint(
    painter: Painter,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    negative: str = "",
    sampler: str = "dpm++",
    steps: int = 20,
    guidance: float = 4.0,
    eta: float = 0.0,
    batch: int = 16,
) -> Tensor:
    """One picture for each prompt and seed, uint8 [B, H, W, 3], on the CPU."""
    table = plan(sampler, noise_schedule(painter.spec.noise), steps, eta)
    pictures = []
    for start in range(0, len(prompts), batch):
        chosen = slice(start, start + batch)
        latents = _paint_batch(
            painter, tokenizer, prompts[chosen], seeds[chosen], negative, table, guidance
        )
        pictures.append(painter.decode(latents).cpu())
    return torch.cat(pictures)


def _paint_batch(
    painter: Painter,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    seeds: Sequence[int],
    negative: str,
    table: Plan,
    guidance: float,
) -> Tensor:
    device = painter.shift.device
    conditional = painter.text(encode(tokenizer, prompts).to(device))  # [B, T, D]
    unconditional = painter.text(encode(tokenizer, [negative] * len(prompts)).to(device))
    scales = torch.full((len(prompts),), guidance, device=device)
    shape = painter.spec.latent_shape
    latents = _noise(seeds, 0, shape).to(device)  # [B, C, h, w]
    before = torch.zeros_like(latents)
    coefficients = torch.from_numpy(table.coefficients).to(device)
    for i, time in enumerate(table.timesteps.tolist()):
        times = torch.full((len(prompts),), time, device=device)
        rows = coefficients[i].expand(len(prompts), -1)
        fresh = _noise(seeds, i + 1, shape).to(device) if table.noisy else before
        latents, before = step(
            painter, latents, times, conditional, unconditional, scales, rows, before, fresh
        )
    return latents


def step(
    painter: Painter,
    latents: Tensor,
    timestep: Tensor,
    cond: Tensor,
    uncond: Tensor,
    guidance: Tensor,
    coefficients: Tensor,
    previous: Tensor,
    noise: Tensor,
) -> tuple[Tensor, Tensor]:
    """One step of any sampler: the next latents and the estimate of the clean ones.

    `latents`, `previous` and `noise` [B, C, h, w], `timestep` and `guidance` [B], `cond` and
    `uncond` [B, T, D], `coefficients` [B, 6] as in `service.sampling.plan`. The network's output is
    the unconditional one plus `guidance` times what the prompt changes (Ho and Salimans 2022).
    """
    count = latents.shape[0]
    both = painter.unet(
        torch.cat([latents, latents]), torch.cat([timestep, timestep]), torch.cat([cond, uncond])
    )
    # Slices and not `chunk`, which would fix the batch of an exported graph.
    said, unsaid = both[:count], both[count:]
    output = unsaid + guidance[:, None, None, None] * (said - unsaid)
    a, b, c, d, p, q = (coefficients[:, i, None, None, None] for i in range(6))
    clean = p * output + q * latents
    return a * latents + b * clean + c * previous + d * noise, clean


def _noise(seeds: Sequence[int], number: int, shape: tuple[int, int, int]) -> Tensor:
    """Normal noise for each seed, the same whatever the batch, [B, C, h, w]."""
    drawn = [
        torch.randn(shape, generator=torch.Generator().manual_seed(mix_seed(seed, number)))
        for seed in seeds
    ]
    return torch.stack(drawn)
