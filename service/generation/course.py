"""One picture on its way through the steps: its methods are those of a job.

C h w latents, T tokens, D their width.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from service.engine.job import Sample
from service.generation.noise import Noise
from service.sampling import Plan

Floats = NDArray[np.float32]

OnEstimate = Callable[[int, NDArray[np.generic]], None]
"""Hears after how many steps, and what the model then takes the finished latents to be."""


class Course:
    """Hands the step graph what it needs at each step, and keeps what it carries over.

    `outputs` are the graph's names for the latents after a step and for the estimate.
    """

    __slots__ = (
        "_estimate",
        "_every",
        "_fixed",
        "_latents",
        "_noise",
        "_on_estimate",
        "_plan",
        "_still",
    )

    def __init__(
        self,
        plan: Plan,
        noise: Noise,
        *,
        cond: Floats,  # [T, D]
        uncond: Floats,  # [T, D]
        guidance: float,
        outputs: tuple[str, str],
        on_estimate: OnEstimate | None,
        every: int,
    ) -> None:
        self._plan = plan
        self._noise = noise
        self._fixed: Sample = {
            "cond": cond,
            "uncond": uncond,
            "guidance": np.array(guidance, np.float32),
        }
        self._latents, self._estimate = outputs
        self._on_estimate = on_estimate
        self._every = every
        self._still: Floats | None = None

    @property
    def steps(self) -> int:
        return len(self._plan)

    def prepare(self) -> Sample:
        latents = self._noise()
        self._still = np.zeros_like(latents)
        return self._inputs(0, latents, previous=self._still)

    def advance(self, outputs: Sample, step: int) -> Sample:
        if self._on_estimate is not None and step % self._every == 0:
            self._on_estimate(step, outputs[self._estimate])
        return self._inputs(step, outputs[self._latents], previous=outputs[self._estimate])

    def finish(self, outputs: Sample) -> Sample:
        """What the decoder takes."""
        return {"latents": outputs[self._latents]}

    def _inputs(
        self, step: int, latents: NDArray[np.generic], previous: NDArray[np.generic]
    ) -> Sample:
        noise = self._noise() if self._plan.noisy else self._still
        assert noise is not None
        return {
            "latents": latents,
            "timestep": self._plan.timesteps[step],
            "coefficients": self._plan.coefficients[step],
            "previous": previous,
            "noise": noise,
            **self._fixed,
        }
