"""Regions as pycocotools reads them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from pycocotools import mask as coco

from service.imaging.cells import CellMap
from service.imaging.regions import find_regions
from tests.service.imaging.maps import blobs, cell_maps

# pycocotools hands NumPy its buffers in a way that NumPy 2 remarks on.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def stripes(*columns: int) -> CellMap:
    """Two rows of equal columns: runs go on from one column to the next."""
    cells = np.tile(np.array(columns, np.uint8), (2, 1))
    return CellMap(cells, np.array([0, 1, 3]), np.arange(len(columns) + 1) * 2)


@settings(deadline=None)
@given(cell_maps())
@example(stripes(1))
@example(stripes(0))
@example(stripes(0, 2, 2, 0))
def test_masks_boxes_and_areas_are_those_of_the_pixels(cell_map: CellMap) -> None:
    pixels = cell_map.pixels()
    regions = find_regions(cell_map)
    assert regions.values == sorted({*np.unique(pixels).tolist()} - {0})
    for value, area, box, counts in zip(
        regions.values, regions.areas_px, regions.boxes_px, regions.run_lengths(), strict=True
    ):
        mask, rle = pixels == value, {"size": pixels.shape, "counts": counts}
        np.testing.assert_array_equal(coco.decode(rle), mask)
        assert area == mask.sum() == coco.area(rle)
        left, top, width, height = coco.toBbox(rle)
        assert box == (left, top, left + width, top + height)
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert counts.encode() == theirs["counts"]


def test_the_masks_of_a_large_image_are_small() -> None:
    cells = blobs(384, 512, 20)
    lines = [np.linspace(0, px, n + 1).round().astype(int) for px, n in ((3000, 384), (4000, 512))]
    regions = find_regions(CellMap(cells, *lines))
    assert sum(len(counts) for counts in regions.run_lengths()) < 200_000
    assert sum(regions.areas_px) == (CellMap(cells, *lines).pixels() > 0).sum()
