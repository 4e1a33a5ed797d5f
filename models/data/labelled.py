"""Labelled images, wherever they come from: the interface that classification trains on."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

# Legend: N images of the set, B of a batch, H W pixels.


class LabelledImages(Protocol):
    """A set of images with one label each."""

    names: tuple[str, ...]
    labels: Tensor  # int64 [N]
    description: str

    def __len__(self) -> int: ...

    def read(self, indices: Tensor, size: tuple[int, int], windows: Tensor | None = None) -> Tensor:
        """Images uint8 RGB [B, H, W, 3] at `size` = (H, W).

        `windows` float [B, 4] are boxes x1 y1 x2 y2, each the part of an image that fills the
        result. (0, 0, 1, 1) is what evaluation sees, and what None means; a box that reaches
        beyond it shows more of the image, or repeats its border where there is no more.
        """
        ...


class ArrayImages:
    """Images that lie in one uint8 array [N, H, W, 3], in memory or mapped from disk."""

    def __init__(
        self, images: Any, labels: Sequence[int] | Tensor, names: Sequence[str], description: str
    ) -> None:
        self.labels = torch.as_tensor(labels, dtype=torch.int64)
        self.names = tuple(names)
        self.description = description
        if len(images) != len(self.labels):
            raise ValueError(f"{len(images)} images, but {len(self.labels)} labels")
        self._images = images

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Tensor, size: tuple[int, int], windows: Tensor | None = None) -> Tensor:
        return read_array(self._images, indices, size, windows)


def read_array(
    images: Any, indices: Tensor, size: tuple[int, int], windows: Tensor | None = None
) -> Tensor:
    """What `LabelledImages.read` says, out of a uint8 array [N, h, w, 3]."""
    pixels = torch.as_tensor(images[indices.numpy()])  # [B, h, w, 3]
    if windows is None and tuple(pixels.shape[1:3]) == size:
        return pixels
    planes = pixels.permute(0, 3, 1, 2).float()  # [B, 3, h, w]
    if windows is not None:
        planes = _cut(planes, windows, size)
    else:
        planes = F.interpolate(planes, size, mode="bilinear", antialias=True)
    return planes.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _cut(planes: Tensor, windows: Tensor, size: tuple[int, int]) -> Tensor:
    """[B, 3, h, w] -> [B, 3, H, W]: each window of its image, bilinear, the border repeated."""
    x1, y1, x2, y2 = windows.unbind(1)  # [B] each
    zero = torch.zeros_like(x1)
    affine = torch.stack(
        [
            torch.stack([x2 - x1, zero, x1 + x2 - 1], 1),
            torch.stack([zero, y2 - y1, y1 + y2 - 1], 1),
        ],
        1,
    )  # [B, 2, 3], in the frame where the image spans [-1, 1]
    grid = F.affine_grid(affine, [len(planes), 3, *size], align_corners=False)
    return F.grid_sample(planes, grid, padding_mode="border", align_corners=False)
