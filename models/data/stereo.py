"""Rectified stereo pairs, wherever they come from: the interface that depth trains on."""

from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

# Legend: N pairs of the set, B of a batch, H W pixels asked for, h w pixels of a truth.


class Cameras(NamedTuple):
    """What is known of the cameras; NaN where it is not."""

    focal_widths: Tensor  # [B] float: focal length as a fraction of the image's width
    baseline_m: Tensor  # [B] float


class StereoPairs(Protocol):
    """A set of pairs, each a left and a right view of which the rows correspond."""

    description: str
    has_depth: bool

    def __len__(self) -> int: ...

    def read(self, indices: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Left and right views uint8 RGB [B, H, W, 3], the whole of each, scaled to `size`."""
        ...

    def cameras(self, indices: Tensor) -> Cameras: ...

    def depth(self, index: int) -> Tensor:
        """Metres along the left optical axis, float [h, w], 0 where unknown."""
        ...


class ArrayPairs:
    """Pairs in uint8 arrays [N, H, W, 3], in memory or mapped from disk.

    `cameras` is an array [N, 4] of focal length, centre x and y in px, baseline in metres, or
    None; `depth` an array [N, H, W] in metres, or None.
    """

    def __init__(self, left: Any, right: Any, cameras: Any, depth: Any, description: str) -> None:
        if len(left) != len(right) or tuple(left.shape[1:]) != tuple(right.shape[1:]):
            raise ValueError(f"the views differ: {tuple(left.shape)} and {tuple(right.shape)}")
        self.description = description
        self.has_depth = depth is not None
        self._left, self._right, self._depth = left, right, depth
        width = left.shape[2]
        unknown = torch.full((len(left), 4), torch.nan)
        known = unknown if cameras is None else torch.as_tensor(cameras, dtype=torch.float32)
        self._focal_widths, self._baseline_m = known[:, 0] / width, known[:, 3]

    def __len__(self) -> int:
        return len(self._left)

    def read(self, indices: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        rows = indices.numpy()
        left, right = torch.as_tensor(self._left[rows]), torch.as_tensor(self._right[rows])
        return resize_pixels(left, size), resize_pixels(right, size)

    def cameras(self, indices: Tensor) -> Cameras:
        return Cameras(self._focal_widths[indices], self._baseline_m[indices])

    def depth(self, index: int) -> Tensor:
        if self._depth is None:
            raise ValueError(f"{self.description}: the depth is not known")
        found = self._depth[index]
        return (
            found.float() if isinstance(found, Tensor) else torch.tensor(found, dtype=torch.float32)
        )


def resize_pixels(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """uint8 [B, h, w, 3] -> uint8 [B, H, W, 3]: pixels are averaged where there become fewer."""
    height, width = pixels.shape[1:3]
    if (height, width) == size:
        return pixels
    planes = pixels.permute(0, 3, 1, 2).float()  # [B, 3, h, w]
    down, across = height // size[0], width // size[1]
    if (size[0] * down, size[1] * across) == (height, width):
        planes = F.avg_pool2d(planes, (down, across))
    else:
        planes = F.interpolate(planes, size, mode="bilinear", antialias=True)
    return planes.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
