"""Anchors: boxes of fixed sizes and aspects at every cell of a pyramid."""

from collections.abc import Sequence

import torch
from torch import Tensor

# Legend: S sizes and A aspects of a level, h w its cells.


def anchor_shapes(sizes_px: Sequence[float], aspects: Sequence[float]) -> Tensor:
    """Boxes around the origin, float [A S, 4] xyxy, aspects (height / width) outermost.

    They keep the area of their size, and are rounded to whole pixels as in torchvision and in
    the first published detectors, on whose anchors published weights depend.
    """
    size = torch.tensor(sizes_px, dtype=torch.float32)
    stretch = torch.tensor(aspects, dtype=torch.float32).sqrt()  # [A]
    widths = (size / stretch[:, None]).flatten()
    heights = (size * stretch[:, None]).flatten()
    return (torch.stack([-widths, -heights, widths, heights], 1) / 2).round()


def grid_anchors(shapes: Tensor, grid: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """The shapes at every cell of a `grid` (h, w) with `stride` (y, x): [h w len(shapes), 4].

    Rows first, all shapes of a cell together; the first cell's centre is the image's corner.
    """
    y = torch.arange(grid[0], device=shapes.device, dtype=shapes.dtype) * stride[0]
    x = torch.arange(grid[1], device=shapes.device, dtype=shapes.dtype) * stride[1]
    down, across = torch.meshgrid(y, x, indexing="ij")
    corners = torch.stack([across, down, across, down], -1)  # [h, w, 4]
    return (corners[:, :, None] + shapes).reshape(-1, 4)
