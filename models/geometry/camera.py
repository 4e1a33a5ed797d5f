"""The pinhole camera: from points to pixels and back.

Pixel coordinates count from the image's left and top edge, so that the middle of the first pixel
is at 0.5 and scaling an image scales them. OpenCV counts from the middle of the first pixel: its
principal point is ours less 0.5. Legend: B batch, H W pixels, N points.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Camera:
    """Focal lengths and principal point, in pixels of an image of one size."""

    focal_x_px: float
    focal_y_px: float
    centre_x_px: float
    centre_y_px: float

    def __post_init__(self) -> None:
        if min(self.focal_x_px, self.focal_y_px) <= 0:
            raise ValueError(f"focal lengths must be positive, got {self}")

    @property
    def matrix(self) -> Tensor:
        """float32 [3, 3]: x -> A x, up to scale, of camera coordinates."""
        return torch.tensor(
            [
                [self.focal_x_px, 0.0, self.centre_x_px],
                [0.0, self.focal_y_px, self.centre_y_px],
                [0.0, 0.0, 1.0],
            ]
        )

    def resized(self, old: tuple[int, int], new: tuple[int, int]) -> "Camera":
        """The camera of the same picture scaled from `old` to `new`, each (height, width)."""
        down, across = new[0] / old[0], new[1] / old[1]
        return Camera(
            self.focal_x_px * across,
            self.focal_y_px * down,
            self.centre_x_px * across,
            self.centre_y_px * down,
        )

    def cropped(self, left_px: float, top_px: float) -> "Camera":
        """The camera of a part of the picture that begins there."""
        return Camera(
            self.focal_x_px,
            self.focal_y_px,
            self.centre_x_px - left_px,
            self.centre_y_px - top_px,
        )


def back_project(depth: Tensor, camera: Camera) -> Tensor:
    """Depth along the axis [..., H, W] -> points x right, y down, z ahead [..., H, W, 3]."""
    height, width = depth.shape[-2:]
    across = torch.arange(width, device=depth.device, dtype=depth.dtype) + 0.5
    down = torch.arange(height, device=depth.device, dtype=depth.dtype) + 0.5
    x = (across - camera.centre_x_px) / camera.focal_x_px * depth
    y = (down - camera.centre_y_px)[:, None] / camera.focal_y_px * depth
    return torch.stack([x, y, depth], -1)


def project(points: Tensor, camera: Camera) -> Tensor:
    """Points [..., 3] before the camera -> pixels x, y [..., 2]; NaN for those not before it."""
    x, y, z = points.unbind(-1)
    ahead = torch.where(z > 0, z, torch.nan)
    return torch.stack(
        [
            camera.focal_x_px * x / ahead + camera.centre_x_px,
            camera.focal_y_px * y / ahead + camera.centre_y_px,
        ],
        -1,
    )
