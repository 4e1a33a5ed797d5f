"""Run lengths against a plain reading of COCO's maskApi.c, character by character."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.imaging.rle import compress_all


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


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=30), min_size=1, max_size=6))
def test_each_mask_has_its_string(masks: list[list[int]]) -> None:
    together = compress_all(
        np.array([count for counts in masks for count in counts], np.int64),
        np.array([len(counts) for counts in masks]),
    )
    assert together == [plain_string(counts) for counts in masks]
