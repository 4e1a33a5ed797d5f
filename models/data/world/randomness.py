"""Random numbers that depend on (seed, scene, purpose) alone: not on the batch, nor on the device.

Every number is a hash of its address, computed with integers that any device adds and multiplies
alike, so scene 41 of a seed is the same scene wherever and beside whomever it is made.
"""

import zlib

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF


def mix(word: Tensor) -> Tensor:
    """Scatter the 32 low bits of int64 words: C. Wellons' best two-round multiply-xorshift hash.

    Both factors are under 2^31, so that no product leaves the range of int64.
    """
    word = word & _MASK
    word = word ^ (word >> 16)
    word = (word * 0x21F0AAAD) & _MASK
    word = word ^ (word >> 15)
    word = (word * 0x735A2D97) & _MASK
    return word ^ (word >> 15)


class Draws:
    """The random numbers of a batch of scenes, a stream of its own for each named purpose."""

    def __init__(self, seed: int, indices: Tensor) -> None:
        index = indices.to(torch.int64)
        low, high = index & _MASK, index >> 32
        # Two independent 32-bit keys a scene: one alone would repeat within some 80 000 scenes.
        self._keys = [
            mix(mix(mix(mix(low + salt) ^ high) + (seed & _MASK)) ^ (seed >> 32 & _MASK) ^ salt)
            for salt in (0x9E3779B9, 0x7F4A7C15)
        ]

    def words(self, purpose: str, *shape: int) -> Tensor:
        """32 random bits each, int64 [B, *shape]."""
        count = 1
        for extent in shape:
            count *= extent
        device = self._keys[0].device
        counter = torch.arange(count, device=device) * 0x632BE5AB + zlib.crc32(purpose.encode())
        first, second = (key[:, None] for key in self._keys)
        word = mix(mix(first ^ mix(counter)) ^ second)  # [B, count]
        return word.reshape(len(word), *shape)

    def uniform(self, purpose: str, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Float32 [B, *shape] in [low, high)."""
        unit = (self.words(purpose, *shape) >> 8).to(torch.float32) * 2.0**-24
        return low + (high - low) * unit

    def integers(self, purpose: str, below: int, *shape: int) -> Tensor:
        """Int64 [B, *shape] in [0, below)."""
        return (self.words(purpose, *shape) * below) >> 32

    def sign(self, purpose: str, *shape: int) -> Tensor:
        """Float32 [B, *shape], each -1 or +1."""
        return (self.integers(purpose, 2, *shape) * 2 - 1).to(torch.float32)
