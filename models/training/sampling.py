"""Which samples a step sees: shuffled epochs, addressed by step."""

import torch
from torch import Tensor

_MASK = (1 << 64) - 1


class ShuffledEpochs:
    """The endless row of epochs, each a fresh permutation that follows from the seed."""

    def __init__(self, samples: int, seed: int) -> None:
        if samples < 1:
            raise ValueError("there are no samples to shuffle")
        self._samples = samples
        self._seed = seed
        self._cached: tuple[int, Tensor] | None = None

    def take(self, start: int, count: int) -> Tensor:
        """Sample numbers int64 [count] from place `start` in the row."""
        pieces = []
        while count > 0:
            epoch, offset = divmod(start, self._samples)
            piece = self._permutation(epoch)[offset : offset + count]
            pieces.append(piece)
            start += len(piece)
            count -= len(piece)
        return torch.cat(pieces) if pieces else torch.empty(0, dtype=torch.int64)

    def _permutation(self, epoch: int) -> Tensor:
        if self._cached is None or self._cached[0] != epoch:
            generator = torch.Generator().manual_seed(mix_seed(self._seed, epoch))
            self._cached = epoch, torch.randperm(self._samples, generator=generator)
        return self._cached[1]


def mix_seed(*parts: int) -> int:
    """One 63-bit seed from several numbers, so that near ones give unrelated streams."""
    state = 0
    for part in parts:
        # splitmix64 (Steele et al. 2014)
        state = ((state ^ (part & _MASK)) + 0x9E3779B97F4A7C15) & _MASK
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
        state ^= state >> 31
    return state >> 1
