"""A colour for every number from 0 to 1, equal steps of which look equally far apart."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# A line through OKLCh from dark violet (lightness .20, hue 272°) by red to light yellow (.94, 102°)
# with as much chroma as sRGB has all along, cut into sixteen parts of equal length in OKLab.
_MARKS: Final = (
    *("0a014d", "21085d", "380b6b", "510d76", "6b0f7b", "85127c", "9f1877", "b6246f", "cb3365"),
    *("de4457", "ed5848", "f5713f", "f88c42", "faa54d", "fcbe5b", "fed66b", "fdef7f"),
)


def _table() -> NDArray[np.uint8]:
    marks = np.array([[*bytes.fromhex(mark)] for mark in _MARKS], np.float64)  # [17, 3]
    at = np.linspace(0, len(marks) - 1, 256)
    sides = [np.interp(at, np.arange(len(marks)), marks[:, side]) for side in range(3)]
    return np.stack(sides, -1).round().astype(np.uint8)


COLOUR_MAP: Final = _table()
"""uint8 RGB [256, 3]"""


def colour_shares(shares: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """0 (dark) to 1 (light) [H, W] -> RGB [H, W, 3]; what lies beyond gets the end's colour."""
    coloured: NDArray[np.uint8] = COLOUR_MAP[np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)]
    return coloured
