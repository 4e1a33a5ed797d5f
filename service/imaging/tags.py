"""Where the name tags of boxes go: inside the frame, off each other, at their own box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Rect = tuple[int, int, int, int]  # left, top, right, bottom


def place_tags(
    boxes: Sequence[Rect], sizes: Sequence[tuple[int, int]], frame: tuple[int, int]
) -> list[Rect]:
    """A place in the `frame` for each tag of `sizes` (width, height). The first choose first."""
    placed: list[Rect] = []
    for box, size in zip(boxes, sizes, strict=True):
        best, least = None, None
        for candidate in _candidates(box, size, frame):
            covered = sum(_overlap(candidate, other) for other in placed)
            if least is None or covered < least:
                best, least = candidate, covered
            if covered == 0:
                break
        assert best is not None
        placed.append(best)
    return placed


def _candidates(box: Rect, size: tuple[int, int], frame: tuple[int, int]) -> Iterator[Rect]:
    left, top, right, bottom = box
    width, height = size
    above, inside, low, below = top - height, top, bottom - height, bottom
    if above >= 0:
        yield _at(left, above, size, frame)
        yield _at(right - width, above, size, frame)
    yield _at(left, inside, size, frame)
    yield _at(right - width, inside, size, frame)
    if below + height <= frame[1]:
        yield _at(left, below, size, frame)
        yield _at(right - width, below, size, frame)
    yield _at(left, low, size, frame)
    yield _at(right - width, low, size, frame)
    for step in range(1, 8):
        yield _at(left, inside + step * height, size, frame)
        yield _at(left, above - step * height, size, frame)


def _at(left: int, top: int, size: tuple[int, int], frame: tuple[int, int]) -> Rect:
    left = max(0, min(left, frame[0] - size[0]))
    top = max(0, min(top, frame[1] - size[1]))
    return left, top, left + size[0], top + size[1]


def _overlap(a: Rect, b: Rect) -> int:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0, width) * max(0, height)
