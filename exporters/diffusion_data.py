"""Inputs to prove a painter's graphs with, and the colours of its latents.

N samples, T tokens, D their width, C h w latents, H W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from exporters.images import GOLDEN_IMAGES, Pixels
from models.clip import encode
from models.diffusion import Painter, noise_schedule
from service.bundle import Tensors
from service.sampling import SAMPLERS, plan

#: What a painter is proven with where nobody says what it should paint.
GOLDEN_PROMPTS: Final = (
    "a red ball",
    "",
    "two red cubes beside a green ball",
    "a photo of a cat on a table",
    "naïve café, 東京: 42 % — don't!",
    "blue",
    "a painting of a house in front of a mountain, in the evening",
    "word " * 400,
)
_STEPS: Final = 20
_GUIDANCE: Final = (1.0, 2.0, 4.0, 7.5)


@dataclass(frozen=True)
class GoldenSteps:
    """Samples at different steps of different samplers, at different guidance."""

    tokens: npt.NDArray[np.int64]  # [N, T]
    inputs: Tensors
    clean: npt.NDArray[np.float32]  # [N, C, h, w], latents of pictures
    amplification: float
    """By how much a step multiplies an error of the network at most."""


@torch.inference_mode()
def golden_steps(painter: Painter, tokenizer: Tokenizer, prompts: Sequence[str]) -> GoldenSteps:
    """Eight samples; every sampler is among them, at an early and at a late step."""
    texts = [*prompts[:GOLDEN_IMAGES], *GOLDEN_PROMPTS][:GOLDEN_IMAGES]
    tokens = encode(tokenizer, texts)
    cond = painter.text(tokens)
    uncond = painter.text(encode(tokenizer, [""] * len(texts)))
    schedule = noise_schedule(painter.spec.noise)
    random = np.random.default_rng(0)
    shape = (len(texts), *painter.spec.latent_shape)
    clean, noise, fresh, before = random.standard_normal((4, *shape)).astype(np.float32)
    times, rows, latents = [], [], []
    for i in range(len(texts)):
        table = plan(SAMPLERS[i % len(SAMPLERS)], schedule, _STEPS)
        index = (3 + 5 * i) % _STEPS
        times.append(table.timesteps[index])
        rows.append(table.coefficients[index])
        kept = float(schedule.alpha_bar(np.array([times[-1]], np.float64))[0])
        latents.append(np.sqrt(kept) * clean[i] + np.sqrt(1 - kept) * noise[i])
    coefficients = np.stack(rows)  # [N, 6]
    guidance = np.array([_GUIDANCE[i % len(_GUIDANCE)] for i in range(len(texts))], np.float32)
    inputs = {
        "latents": np.stack(latents).astype(np.float32),
        "timestep": np.array(times, np.float32),
        "cond": cond.numpy(),
        "uncond": uncond.numpy(),
        "guidance": guidance,
        "coefficients": coefficients,
        "previous": before,
        "noise": fresh,
    }
    grown = (2 * guidance + 1) * np.abs(coefficients[:, 4])  # of the clean estimate
    grown = np.maximum(grown, np.abs(coefficients[:, 1]) * grown)
    return GoldenSteps(tokens.numpy(), inputs, clean, float(max(1.0, grown.max())))


@dataclass(frozen=True)
class Glimpse:
    """RGB in 0..255 of a cell as a linear function of its latents."""

    matrix: npt.NDArray[np.float64]  # [C, 3]
    bias: npt.NDArray[np.float64]  # [3]

    def as_text(self) -> str:
        """Row by row, then the bias, separated by commas."""
        return ",".join(f"{x:.3f}" for x in (*self.matrix.ravel(), *self.bias))


@torch.inference_mode()
def fit_preview(painter: Painter, pictures: Pixels) -> Glimpse:
    """The least-squares colours of the cells of these pictures, uint8 [N, H, W, 3]."""
    images = torch.from_numpy(pictures)
    latents = painter.encode(images)  # [N, C, h, w]
    stride = painter.spec.autoencoder.stride
    colours = F.avg_pool2d(images.permute(0, 3, 1, 2).float(), stride)  # [N, 3, h, w]
    cells = latents.permute(0, 2, 3, 1).flatten(0, 2).double().numpy()  # [cells, C]
    wanted = colours.permute(0, 2, 3, 1).flatten(0, 2).double().numpy()  # [cells, 3]
    with_one = np.concatenate([cells, np.ones((len(cells), 1))], axis=1)
    solution = np.linalg.lstsq(with_one, wanted, rcond=None)[0]  # [C + 1, 3]
    return Glimpse(solution[:-1], solution[-1])
