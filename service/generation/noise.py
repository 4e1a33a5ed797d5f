"""The noise that a picture is made of: of its seed and its index, whoever shares its batch."""

from __future__ import annotations

import secrets

import numpy as np
from numpy.typing import NDArray

MAX_SEED = 2**53 - 1
"""What JSON carries exactly to any client."""
DRAWN_SEEDS = 2**32


def draw_seed() -> int:
    """For a request that names none; short enough to be read out."""
    return secrets.randbelow(DRAWN_SEEDS)


class Noise:
    """Standard normal numbers, a tensor each time that it is asked: the first is the beginning.

    Philox is keyed with the seed and the index, so that every picture has a stream of its own.
    """

    def __init__(self, seed: int, index: int, shape: tuple[int, ...]) -> None:
        key = np.array([seed, index], np.uint64)
        self._generator = np.random.Generator(np.random.Philox(key=key))
        self._shape = shape

    def __call__(self) -> NDArray[np.float32]:
        return self._generator.standard_normal(self._shape, dtype=np.float32)
