"""Maps of regions made on the fly."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from service.imaging.cells import CellMap


@st.composite
def cell_maps(draw: st.DrawFn, side: int = 9, widest_px: int = 4) -> CellMap:
    """Few values, so that regions touch at corners, enclose one another and come to the border."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=side))
    cells = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 3)))
    lines = [
        np.cumsum([0, *draw(st.lists(st.integers(1, widest_px), min_size=n, max_size=n))])
        for n in shape
    ]
    return CellMap(cells, *lines)


def blobs(height: int, width: int, count: int, seed: int = 0) -> np.ndarray:
    """Round regions over one another, some with a hole; 0 beside them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    values = np.zeros((height, width), np.uint8)
    for value in range(1, count + 1):
        at_y, at_x = rng.uniform(0, height), rng.uniform(0, width)
        away = np.hypot(y - at_y, x - at_x) / rng.uniform(0.15, 0.4) / min(height, width)
        values[(away < 1) & (away > rng.choice([0, 0.4]))] = value
    return values
