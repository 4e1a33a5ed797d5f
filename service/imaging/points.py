"""Points in space: pixels with a depth, seen back through a pinhole camera, as a PLY file.

H W pixels, N points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

_VERTEX: Final = np.dtype([("at", "<f4", 3), ("colour", "u1", 3)])


@dataclass(frozen=True, slots=True)
class PinholeCamera:
    """Pixels count from the left and top edge of the image; they are square."""

    focal_px: Annotated[float, Field(gt=0, description="In pixels of the image as sent")]
    centre_x_px: float
    centre_y_px: float

    def scaled(self, across: float, down: float) -> tuple[float, float, float, float]:
        """Focal lengths and centre, x and y, where the image has so many times its sides."""
        return (
            self.focal_px * across,
            self.focal_px * down,
            self.centre_x_px * across,
            self.centre_y_px * down,
        )


def back_project(
    depth: NDArray[np.float32], focal_and_centre: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """Depth along the optical axis [H, W] -> x right, y down, z ahead [H, W, 3]."""
    focal_x, focal_y, centre_x, centre_y = focal_and_centre
    height, width = depth.shape
    points = np.empty((height, width, 3), np.float32)
    points[..., 0] = depth * ((np.arange(width) + 0.5 - centre_x) / focal_x)
    points[..., 1] = depth * ((np.arange(height) + 0.5 - centre_y) / focal_y)[:, None]
    points[..., 2] = depth
    return points


def encode_ply(
    points: NDArray[np.float32], colours: NDArray[np.uint8], comments: Sequence[str] = ()
) -> bytes:
    """Points [N, 3] with RGB [N, 3]; binary, little-endian."""
    vertices = np.empty(len(points), _VERTEX)
    vertices["at"], vertices["colour"] = points, colours
    header = [
        "ply",
        "format binary_little_endian 1.0",
        *(f"comment {comment}" for comment in comments),
        f"element vertex {len(points)}",
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {colour}" for colour in ("red", "green", "blue")),
        "end_header",
    ]
    return ("\n".join(header) + "\n").encode() + vertices.tobytes()
