"""Masks against a plain reading of COCO's maskApi.c, character by character."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.imaging.rle import (
    compress,
    compress_all,
    counts_to_mask,
    decode_mask,
    decompress,
    encode_mask,
    mask_to_counts,
)


def plain_counts(mask: np.ndarray) -> list[int]:
    counts, run, previous = [], 0, 0
    for column in range(mask.shape[1]):
        for row in range(mask.shape[0]):
            if int(mask[row, column]) != previous:
                counts.append(run)
                run, previous = 0, 1 - previous
            run += 1
    return [*counts, run]


def plain_string(counts: list[int]) -> str:
    """rleToString."""
    text = ""
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            character = value & 0x1F
            value >>= 5
            more = value != -1 if character & 0x10 else value != 0
            text += chr((character | 0x20 if more else character) + 48)
    return text


masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


@settings(deadline=None)
@given(masks)
def test_encodes_as_coco_does_and_comes_back(mask: np.ndarray) -> None:
    counts = plain_counts(mask)
    assert mask_to_counts(mask).tolist() == counts
    rle = encode_mask(mask)
    assert rle == {"size": list(mask.shape), "counts": plain_string(counts)}
    assert np.array_equal(decode_mask(rle), mask)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**31 - 1), max_size=30))
def test_strings_hold_any_runs(counts: list[int]) -> None:
    text = plain_string(counts)
    assert compress(counts) == text
    assert decompress(text).tolist() == counts


@pytest.mark.parametrize(("mask", "counts"), [("0011101", [2, 3, 1, 1]), ("1111110", [0, 6, 1])])
def test_the_examples_in_maskapi_h(mask: str, counts: list[int]) -> None:
    assert mask_to_counts(np.array([[int(bit)] for bit in mask])).tolist() == counts


@pytest.mark.parametrize("value", [0, 1])
def test_uniform_masks(value: int) -> None:
    mask = np.full((300, 500), value, np.uint8)
    assert mask_to_counts(mask).tolist() == ([150_000] if value == 0 else [0, 150_000])
    assert np.array_equal(decode_mask(encode_mask(mask)), mask.astype(bool))


@settings(deadline=None)
@given(st.text(max_size=20))
def test_a_broken_string_is_a_value_error(text: str) -> None:
    with suppress(ValueError):
        decode_mask({"size": [4, 5], "counts": text})


def test_runs_must_fill_the_mask() -> None:
    with pytest.raises(ValueError, match="runs of 7 pixels do not fill 4×2"):
        counts_to_mask([3, 4], 2, 4)
    with pytest.raises(ValueError, match="do not fill"):
        counts_to_mask([-1, 9], 2, 4)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**20), min_size=1, max_size=9), min_size=1, max_size=6))
def test_masks_are_compressed_together_as_they_are_alone(masks: list[list[int]]) -> None:
    together = compress_all(
        np.array([count for counts in masks for count in counts]),
        np.array([len(counts) for counts in masks]),
    )
    assert together == [plain_string(counts) for counts in masks]
