"""Painting with exported graphs, as a server does, and what an onlooker says of it.

B pictures, T tokens, D their width, C h w latents, S side in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from exporters.errors import ExportError
from exporters.images import GOLDEN_REAL_IMAGES, Pixels
from exporters.session import CpuSession
from exporters.unseen import recipe_data
from models.clip import encode
from models.diffusion import PainterSpec, noise_schedule
from models.diffusion.autoencoder_recipe import PictureData
from models.diffusion.data import CaptionedPictures, open_pictures
from models.diffusion.evaluation import measure_painting
from models.diffusion.looking import Onlooker
from models.training.sampling import mix_seed
from service.sampling import plan

_BATCH = 8


class GraphPainter:
    """Three graphs in the place of the network that they were made from."""

    def __init__(
        self,
        graphs: Mapping[str, Path],
        spec: PainterSpec,
        tokenizer: Tokenizer,
        *,
        sampler: str,
        steps: int,
        guidance: float,
    ) -> None:
        self._text, self._step, self._decode = (
            CpuSession(graphs[role]) for role in ("text", "step", "decode")
        )
        self._shape = spec.latent_shape
        self._tokenizer = tokenizer
        self._plan = plan(sampler, noise_schedule(spec.noise), steps)
        self._guidance = guidance

    def __call__(self, prompts: Sequence[str], seeds: Sequence[int]) -> torch.Tensor:
        """uint8 [B, S, S, 3]"""
        pictures = []
        for start in range(0, len(prompts), _BATCH):
            part = slice(start, start + _BATCH)
            pictures.append(self._paint(list(prompts[part]), list(seeds[part])))
        return torch.from_numpy(np.concatenate(pictures))

    def _paint(self, prompts: list[str], seeds: list[int]) -> Pixels:
        latents: npt.NDArray[Any] = self._noise(seeds, 0)
        before: npt.NDArray[Any] = np.zeros_like(latents)
        texts = {"cond": self._read(prompts), "uncond": self._read([""] * len(prompts))}
        guidance = np.full(len(prompts), self._guidance, np.float32)
        for i, time in enumerate(self._plan.timesteps):
            answer = self._step.run(
                {
                    "latents": latents,
                    "timestep": np.full(len(prompts), time, np.float32),
                    **texts,
                    "guidance": guidance,
                    "coefficients": np.repeat(self._plan.coefficients[i : i + 1], len(prompts), 0),
                    "previous": before,
                    "noise": self._noise(seeds, i + 1) if self._plan.noisy else before,
                }
            )
            latents, before = answer["next_latents"], answer["clean"]
        return self._decode.run({"latents": latents})["image"].astype(np.uint8, copy=False)

    def _read(self, prompts: list[str]) -> npt.NDArray[Any]:
        return self._text.run({"tokens": encode(self._tokenizer, prompts).numpy()})["hidden"]

    def _noise(self, seeds: Sequence[int], number: int) -> npt.NDArray[np.float32]:
        drawn = [
            np.random.default_rng(mix_seed(seed, number)).standard_normal(self._shape)
            for seed in seeds
        ]
        return np.stack(drawn).astype(np.float32)


@dataclass(frozen=True)
class UnseenPrompts:
    """Captions that training has not seen, their pictures, and who looks at what is painted."""

    pictures: CaptionedPictures
    count: int
    onlooker: Onlooker

    @property
    def description(self) -> str:
        return f"the first {self.count} captions of: {self.pictures.description}"

    def measure(self, painter: GraphPainter) -> dict[str, float]:
        return measure_painting(painter, self.onlooker, self.pictures, self.count)[1]


def read_unseen_pictures(
    metadata: Mapping[str, Any], *, progress: bool = False
) -> CaptionedPictures:
    """The test split of what trained the painter."""
    data = recipe_data(PictureData, metadata)
    try:
        return open_pictures(data, "test", progress=progress)
    except (ValueError, OSError) as error:
        raise ExportError(f"the checkpoint's test data cannot be read: {error}") from error


def some_pixels(pictures: CaptionedPictures) -> Pixels:
    """A few, uint8 [N, S, S, 3]."""
    pixels: Pixels = pictures.read(torch.arange(min(GOLDEN_REAL_IMAGES, len(pictures)))).numpy()
    return pixels
