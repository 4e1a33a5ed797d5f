"""COCO's run-length encoding of binary masks: column by column, zeros first.

The compressed string holds 5 bits of a number in each character, from the lowest, with a sixth bit
that says whether more follow; from the fourth run on it is the difference to the run two before.
Format: https://github.com/cocodataset/cocoapi/blob/master/common/maskApi.c
"""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

_OFFSET = 48  # characters begin at "0"
_MAX_CHARACTERS = 7  # of a 32-bit difference


class Rle(TypedDict):
    """As COCO's JSON has it; `size` is [height, width]."""

    size: list[int]
    counts: str


def encode_mask(mask: NDArray[Any]) -> Rle:
    """A binary mask [H, W], bool or integer where anything but 0 is inside."""
    height, width = mask.shape
    return {"size": [height, width], "counts": compress(mask_to_counts(mask))}


def decode_mask(rle: Rle) -> NDArray[np.bool_]:
    """The mask [H, W]. Raises `ValueError` where the runs do not fill it exactly."""
    height, width = rle["size"]
    return counts_to_mask(decompress(rle["counts"]), height, width)


def mask_to_counts(mask: NDArray[Any]) -> NDArray[np.int64]:
    """Lengths of runs [R] of the mask [H, W] read down its columns; the first counts zeros."""
    columns = np.ascontiguousarray((mask if mask.dtype == np.bool_ else mask != 0).T).reshape(-1)
    if not columns.size:
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(columns[1:] != columns[:-1]) + 1
    edges = np.concatenate(([0], starts, [columns.size]))
    counts = np.diff(edges)
    return np.concatenate(([0], counts)) if columns[0] else counts


def counts_to_mask(counts: ArrayLike, height: int, width: int) -> NDArray[np.bool_]:
    lengths = np.asarray(counts, np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise ValueError(f"runs of {lengths.sum()} pixels do not fill {width}×{height}")
    inside = np.arange(lengths.size) % 2 == 1
    return np.repeat(inside, lengths).reshape(width, height).T


def compress(counts: ArrayLike) -> str:
    runs = np.asarray(counts, np.int64)
    (text,) = compress_all(runs, np.array([runs.size]))
    return text


def compress_all(counts: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
    """The strings of several masks, whose counts [R] follow one another, `lengths` [K] of each."""
    if not counts.size:
        return [""] * lengths.size
    firsts = np.cumsum(lengths) - lengths
    values = counts.copy()
    values[2:] -= counts[:-2]
    for run in range(3):  # those have none two before that counts
        at = firsts[lengths > run] + run
        values[at] = counts[at]
    return _cut(*_characters(values), lengths)


def _characters(values: NDArray[np.int64]) -> tuple[str, NDArray[np.int64]]:
    """The characters of all numbers [R], and where each number's end [R]."""
    magnitudes = values ^ (values >> 63)
    more = np.zeros(values.shape, np.int64)  # [R], characters after this one
    most, too_large = int(magnitudes.max()), 1 << 4  # the fifth bit is the sign
    while too_large <= most:
        more += magnitudes >= too_large
        too_large <<= 5
    ends = np.cumsum(more + 1)
    text = np.empty(ends[-1], np.uint8)
    at = ends - 1 - more
    while at.size:  # all first characters, then the second ones of those that have more
        goes_on = more > 0
        text[at] = (values & 0x1F) + np.where(goes_on, _OFFSET + 0x20, _OFFSET)
        left = np.flatnonzero(goes_on)
        values, more, at = values[left] >> 5, more[left] - 1, at[left] + 1
    return str(text.tobytes(), "ascii"), ends


def _cut(text: str, ends: NDArray[np.int64], lengths: NDArray[np.int64]) -> list[str]:
    """The text of so many numbers each."""
    cuts = np.concatenate(([0], ends))[np.cumsum(lengths)].tolist()
    return [text[first:end] for first, end in zip((0, *cuts), cuts, strict=False)]


def decompress(text: str) -> NDArray[np.int64]:
    """Runs [R] from the compressed string. Raises `ValueError` where it is not one."""
    characters = np.frombuffer(text.encode(), np.uint8).astype(np.int64) - _OFFSET
    if not characters.size:
        return np.zeros(0, np.int64)
    if characters.min() < 0 or characters.max() > 0x3F or characters[-1] & 0x20:
        raise ValueError("not a compressed run-length string")
    last = np.flatnonzero(characters & 0x20 == 0)
    first = np.concatenate(([0], last[:-1] + 1))
    sizes = last - first + 1
    if sizes.max() > _MAX_CHARACTERS:
        raise ValueError("a run is longer than any mask")
    place = np.arange(characters.size) - np.repeat(first, sizes)
    values = np.add.reduceat((characters & 0x1F) << (5 * place), first)
    negative = characters[last] & 0x10 != 0
    values -= np.where(negative, np.left_shift(1, 5 * sizes), 0)
    # Each run from the fourth on adds to the run two before: a sum over every second one.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
