"""COCO's run-length encoding of binary masks: column by column, zeros first.

The compressed string holds 5 bits of a number in each character, from the lowest, with a sixth bit
that says whether more follow; from the fourth run on it is the difference to the run two before.
Format: https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_OFFSET = np.uint8(ord("0"))


def compress_all(counts: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
    """The strings of several masks, whose counts [R] follow one another, `lengths` [K] of each."""
    if not counts.size:
        return [""] * lengths.size
    firsts = lengths.cumsum() - lengths
    values = counts.copy()
    values[2:] -= counts[:-2]
    for run in range(3):  # those have none two before that counts
        at = firsts[lengths > run] + run
        values[at] = counts[at]
    return _cut(*_characters(values), lengths)


def _characters(values: NDArray[np.int64]) -> tuple[str, NDArray[np.int64]]:
    """The characters of all numbers [R], and where each number's end [R]."""
    magnitudes = values ^ (values >> 63)
    more = np.zeros(values.shape, np.uint8)  # [R], characters after this one
    most, too_large = int(magnitudes.max()), 1 << 4  # the fifth bit is the sign
    while too_large <= most:
        more += magnitudes >= too_large
        too_large <<= 5
    ends = more.cumsum(dtype=np.int64) + np.arange(1, len(more) + 1)
    text = np.empty(ends[-1], np.uint8)
    at = ends - 1 - more
    while at.size:  # all first characters, then the second ones of those that have more
        goes_on = more > 0
        text[at] = (values.astype(np.uint8) & 0x1F) + (goes_on.view(np.uint8) << 5) + _OFFSET
        (left,) = goes_on.nonzero()
        values, more, at = values[left] >> 5, more[left] - np.uint8(1), at[left] + 1
    return str(text.tobytes(), "ascii"), ends


def _cut(text: str, ends: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
    """The text of so many numbers each."""
    cuts = np.concatenate(([0], ends))[lengths.cumsum()].tolist()
    return [text[first:end] for first, end in zip((0, *cuts), cuts, strict=False)]
