"""Outlines against OpenCV: filled again, counted, and measured."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given, settings

from service.imaging.cells import CellMap
from service.imaging.outlines import Polygon, trace_polygons
from tests.service.imaging.maps import blobs, cell_maps

FINE = 8
"""Filled this many times larger, no middle of a pixel lies on a line."""


def filled(polygons: list[Polygon], cell_map: CellMap) -> np.ndarray:
    canvas = np.zeros((cell_map.height_px * FINE, cell_map.width_px * FINE), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(canvas, [np.array(ring, np.int32) * FINE for ring in polygon], 1)
    return canvas[FINE // 2 :: FINE, FINE // 2 :: FINE] > 0


def twice_area(ring: list[tuple[int, int]]) -> int:
    return sum(a * d - c * b for (a, b), (c, d) in itertools.pairwise(ring))


@settings(deadline=None)
@given(cell_maps())
def test_polygons_are_the_regions_exactly(cell_map: CellMap) -> None:
    pixels = cell_map.pixels()
    traced = trace_polygons(cell_map)
    assert {*traced} == {*np.unique(pixels).tolist()} - {0}
    for value, polygons in traced.items():
        mask = (pixels == value).astype(np.uint8)
        np.testing.assert_array_equal(filled(polygons, cell_map), mask)
        assert len(polygons) == cv2.connectedComponents(mask, connectivity=4)[0] - 1
        beside = np.pad(1 - mask, 1, constant_values=1)
        holes = cv2.connectedComponents(beside, connectivity=8)[0] - 2
        assert sum(len(polygon) - 1 for polygon in polygons) == holes


@settings(deadline=None)
@given(cell_maps())
def test_rings_are_closed_and_turn_as_geojson_has_it(cell_map: CellMap) -> None:
    """RFC 7946, 3.1.6: the outline against the clock where y grows upwards, holes with it."""
    for polygons in trace_polygons(cell_map).values():
        for outline, *holes in polygons:
            assert twice_area(outline) > 0
            assert all(twice_area(hole) < 0 for hole in holes)
    for tolerance_px in (0.0, 1.5, 100.0):
        for polygons in trace_polygons(cell_map, tolerance_px).values():
            for ring in itertools.chain.from_iterable(polygons):
                assert ring[0] == ring[-1]
                assert len(ring) >= 5


def test_a_hole_belongs_to_the_outline_around_it() -> None:
    drawn = """
        #######.#####
        #.....#.#.#.#
        #.###.#.#####
        #.#.#.#.#####
        #.###.#.#####
        #.....#.#####
        #######.#####
    """
    cells = np.array([[*line] for line in drawn.split()]) == "#"
    cell_map = CellMap(cells.astype(np.uint8), np.arange(8), np.arange(14))
    found = {
        (polygon[0][0], len(polygon) - 1, sum(twice_area(ring) for ring in polygon) / 2)
        for polygon in trace_polygons(cell_map)[1]
    }
    assert found == {((0, 0), 1, 24), ((2, 2), 1, 8), ((8, 0), 2, 33)}


@pytest.mark.parametrize("tolerance_px", [1.0, 2.5, 8.0])
def test_simplified_outlines_keep_within_the_tolerance(tolerance_px: float) -> None:
    cells = blobs(96, 128, 8)
    cell_map = CellMap(cells, np.arange(97) * 2, np.arange(129) * 2)
    exact, simple = trace_polygons(cell_map), trace_polygons(cell_map, tolerance_px)
    for value, polygons in exact.items():
        rings = [np.array(ring, float) for polygon in simple[value] for ring in polygon]
        for polygon in polygons:
            for ring in polygon:
                gaps = [_to_ring(np.array(ring, float), other) for other in rings]
                assert np.min(gaps, axis=0).max() <= tolerance_px + 1e-9
        mask = cell_map.pixels() == value
        edge = cv2.distanceTransform(np.uint8(mask), cv2.DIST_L2, 5)
        edge += cv2.distanceTransform(np.uint8(~mask), cv2.DIST_L2, 5)
        wrong = filled(simple[value], cell_map) != mask
        assert edge[wrong].max(initial=0) <= tolerance_px + 1
    counts = [sum(len(r) for p in t.values() for q in p for r in q) for t in (exact, simple)]
    assert counts[1] < counts[0]


def _to_ring(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """From each point to the nearest of a ring's sides, one side after the other."""
    nearest = np.full(len(points), np.inf)
    for a, b in itertools.pairwise(ring):
        along = b - a
        share = np.clip((points - a) @ along / (along @ along), 0, 1)
        nearest = np.minimum(nearest, np.linalg.norm(points - a - share[:, None] * along, axis=1))
    return nearest
