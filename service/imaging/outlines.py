"""The outlines of regions as polygons with holes, along the edges of pixels or simplified.

A region's edge runs along the sides of its cells with the inside to the right as one sees it: over
its top to the right, down its right side, and so on. N points or edges, K rings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.imaging.cells import NOTHING, CellMap, Ints

Point = tuple[int, int]  # x, y
Ring = list[Point]
Polygon = list[Ring]
"""The outline, and then the holes in it; each ring ends with the point that it begins with."""

_LEFT: Final = 3
"""Sides of a cell: 0 top, 1 right, 2 bottom, 3 left."""


def trace_polygons(cell_map: CellMap, tolerance_px: float = 0.0) -> Mapping[int, list[Polygon]]:
    """The polygons of each value but `NOTHING`, in pixels of the image.

    No point of the true edge, which follows the sides of pixels, is farther than `tolerance_px`
    from the polygon. Cells that touch at a corner alone are apart.
    """
    cells = np.pad(cell_map.cells, 1, constant_values=NOTHING)
    width = cells.shape[1]
    across = np.array([-width, 1, width, -1])  # from a cell to its neighbour over each side
    edges = _edges(cells)
    if not edges.size:
        return {}
    following = _following(edges, across)
    ring, edges = _in_order(edges, following)
    cell, side = np.divmod(edges, 4)
    y, x = np.divmod(cell, width)
    y, x = y - 1 + (side >= 2), x - 1 + ((side == 1) | (side == 2))  # where each edge begins
    points = np.stack([cell_map.columns_px[x], cell_map.rows_px[y]], axis=-1)  # [N, 2]

    starts = np.flatnonzero(np.diff(ring, prepend=-1))  # [K]
    value = cells.reshape(-1)[cell[starts]]
    outer = _outer_of(ring, starts, points, edges)
    is_corner = side != _before(side, starts)
    points, ring = simplify_rings(points[is_corner], ring[is_corner], tolerance_px)
    rings = _split(points, ring)
    polygons: dict[int, dict[int, Polygon]] = {int(one): {} for one in np.unique(value)}
    outlines_first = np.argsort(outer != np.arange(len(outer)), kind="stable")
    for at in outlines_first.tolist():
        polygons[int(value[at])].setdefault(int(outer[at]), []).append(rings[at])
    return {one: list(found.values()) for one, found in polygons.items()}


def _edges(cells: NDArray[np.uint8]) -> Ints:
    """Sides at which a region ends, as 4 · cell + side, ascending."""
    inner = cells[1:-1, 1:-1]
    ends = np.zeros((*cells.shape, 4), np.bool_)
    around = (cells[:-2, 1:-1], cells[1:-1, 2:], cells[2:, 1:-1], cells[1:-1, :-2])
    for side, neighbour in enumerate(around):
        ends[1:-1, 1:-1, side] = (inner != neighbour) & (inner != NOTHING)
    return np.flatnonzero(ends)


def _following(edges: Ints, across: Ints) -> Ints:
    """The index of the edge of the same region that begins where each ends: around the same cell if
    that has one, else straight on along the next cell, else around the corner."""
    cell, side = np.divmod(edges, 4)
    ahead = cell + across[(side + 1) % 4]
    candidates = (
        4 * cell + (side + 1) % 4,
        4 * ahead + side,
        4 * (ahead + across[side]) + (side + 3) % 4,
    )
    found = np.full(len(edges), -1)
    for candidate in candidates:
        at = np.minimum(np.searchsorted(edges, candidate), len(edges) - 1)
        found = np.where((found < 0) & (edges[at] == candidate), at, found)
    return found


def _in_order(edges: Ints, following: Ints) -> tuple[Ints, Ints]:
    """Ring by ring and along each ring: the number of the ring, and the edge.

    By doubling: after n rounds every edge knows the least index among the 2^n that follow it, and
    then how many there are up to the last of its ring.
    """
    least, jump = np.arange(len(edges)), following
    while True:
        less = np.minimum(least, least[jump])
        if (less == least).all():
            break
        least, jump = less, jump[jump]
    is_last = following == least
    jump = np.where(is_last, np.arange(len(edges)), following)
    left = np.where(is_last, 0, 1)
    while not is_last[jump].all():
        left, jump = left + left[jump], jump[jump]
    order = np.lexsort((-left, least))
    _, ring = np.unique(least[order], return_inverse=True)
    return ring, edges[order]


def _outer_of(ring: Ints, starts: Ints, points: Ints, edges: Ints) -> Ints:
    """The ring [K] around each: an outline's is itself, a hole's is the outline of its region.

    Straight to the left of a hole's leftmost edge lies an edge of the same region: of the outline,
    or of a hole farther left.
    """
    x, y = points[:, 0], points[:, 1]
    following = _after(np.arange(len(ring)), starts)
    area = np.add.reduceat(x * y[following] - x[following] * y, starts)
    outer = np.arange(len(starts))
    holes = np.flatnonzero(area < 0)
    if not holes.size:
        return outer
    by_x = np.lexsort((edges % 4 == _LEFT, x, ring))
    leftmost = edges[by_x[starts[holes]]]
    lefts = np.flatnonzero(edges % 4 == _LEFT)
    lefts = lefts[np.argsort(edges[lefts])]
    before = np.searchsorted(edges[lefts], 4 * (leftmost // 4) + _LEFT, side="right") - 1
    outer[holes] = ring[lefts[before]]
    while (area[outer] < 0).any():
        outer = outer[outer]
    return outer


def simplify_rings(points: Ints, ring: Ints, tolerance_px: float) -> tuple[Ints, Ints]:
    """Douglas and Peucker's (1973), of all closed rings at once: points [N, 2] of rising rings [N].

    Of each ring at least those points stay that make it a figure: two far apart, one on each side.
    """
    if tolerance_px <= 0:
        return points, ring
    starts = np.flatnonzero(np.diff(ring, prepend=-1))
    ends = np.append(starts[1:], len(ring))
    closed = np.insert(np.arange(len(ring)), ends, starts)  # each ring with its first point again
    plane = points[closed] @ np.array([1, 1j])
    first, last = starts + np.arange(len(starts)), ends + np.arange(len(starts))
    kept = np.zeros(len(closed), np.bool_)
    kept[first] = kept[last] = True
    must_split = 2  # rounds
    while first.size:
        # Chains from one kept point to the next, and the points between, all in one row.
        inner = last - first - 1
        first, last, inner = first[inner > 0], last[inner > 0], inner[inner > 0]
        if not inner.size:
            break
        begins = np.cumsum(inner) - inner
        at = np.arange(inner.sum()) + (first + 1 - begins).repeat(inner)
        away = _distance(plane[at], plane[first].repeat(inner), plane[last].repeat(inner))
        most = np.maximum.reduceat(away, begins)
        farthest = np.flatnonzero(away == most.repeat(inner))
        farthest = at[farthest[np.searchsorted(farthest, begins)]]
        splits = most > (0 if must_split > 0 else tolerance_px)
        must_split -= 1
        middle = farthest[splits]
        kept[middle] = True
        first = np.stack([first[splits], middle], axis=1).reshape(-1)
        last = np.stack([middle, last[splits]], axis=1).reshape(-1)
    kept[ends + np.arange(len(starts))] = False
    stays = closed[kept]
    return points[stays], ring[stays]


def _distance(
    points: NDArray[np.complex128], a: NDArray[np.complex128], b: NDArray[np.complex128]
) -> NDArray[np.float64]:
    """From each point to the line from `a` to `b`, ends included; x + y i."""
    along, off = b - a, points - a
    length = np.maximum(along.real**2 + along.imag**2, 1e-12)
    share = np.clip((off.real * along.real + off.imag * along.imag) / length, 0, 1)
    return np.abs(off - share * along)


def _after(values: Ints, starts: Ints) -> Ints:
    """The value that follows each in its ring."""
    shifted = np.append(values[1:], 0)
    shifted[np.append(starts[1:], len(values)) - 1] = values[starts]
    return shifted


def _before(values: Ints, starts: Ints) -> Ints:
    """The value before each in its ring."""
    shifted = np.insert(values[:-1], 0, 0)
    shifted[starts] = values[np.append(starts[1:], len(values)) - 1]
    return shifted


def _split(points: Ints, ring: Ints) -> list[Ring]:
    starts = np.flatnonzero(np.diff(ring, prepend=-1))
    pairs = [(x, y) for x, y in points.tolist()]
    ends = [*starts[1:].tolist(), len(pairs)]
    return [
        [*pairs[start:end], pairs[start]] for start, end in zip(starts.tolist(), ends, strict=True)
    ]
