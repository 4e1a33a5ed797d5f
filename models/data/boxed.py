"""Images with boxes, wherever they come from: the interface that detection trains on."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

# Legend: N images of the set, B of a batch, K places for boxes, n boxes of one image, H W pixels.

#: What lies around an image whose shape is not the input's.
PAD_VALUE = 114


class BoxTruth(NamedTuple):
    """All that is known of one image, for evaluation."""

    boxes_xyxy_px: Tensor  # [n, 4] float
    labels: Tensor  # [n] int64
    is_crowd: Tensor  # [n] bool: one box for many objects, neither to be found nor to be missed
    areas_px: Tensor  # [n] float, of the objects, which may be less than their boxes'


class BoxedImages(Protocol):
    """A set of images, each with any number of boxes, in pixels of the image itself."""

    names: tuple[str, ...]
    description: str

    def __len__(self) -> int: ...

    def sizes_px(self, indices: Tensor) -> Tensor:
        """Width and height of images: int64 [B, 2]."""
        ...

    def read(self, indices: Tensor, size: tuple[int, int], windows_px: Tensor) -> Tensor:
        """Images uint8 RGB [B, H, W, 3] at `size` = (H, W).

        `windows_px` float [B, 4] are boxes x1 y1 x2 y2, each the part of an image that fills the
        result. What lies outside of the image is `PAD_VALUE`.
        """
        ...

    def boxes(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """What can be learnt: boxes float [B, K, 4] and labels int64 [B, K], -1 where padded."""
        ...

    def truth(self, index: int) -> BoxTruth: ...


class ArrayScenes:
    """Images of one size in one uint8 array [N, H, W, 3], in memory or mapped from disk.

    `boxes_xyxy_px` is an array [N, K, 4], `labels` [N, K], -1 where padded.
    """

    def __init__(
        self,
        images: Any,
        boxes_xyxy_px: Any,
        labels: Any,
        names: Sequence[str],
        description: str,
    ) -> None:
        self.names = tuple(names)
        self.description = description
        self._images = images
        self._boxes = torch.as_tensor(boxes_xyxy_px, dtype=torch.float32)
        self._labels = torch.as_tensor(labels, dtype=torch.int64)
        if not len(images) == len(self._boxes) == len(self._labels):
            raise ValueError(
                f"{len(images)} images, {len(self._boxes)} rows of boxes, {len(self._labels)} of "
                "labels"
            )

    def __len__(self) -> int:
        return len(self._labels)

    def sizes_px(self, indices: Tensor) -> Tensor:
        height, width = self._images.shape[1:3]
        return torch.tensor([width, height]).expand(len(indices), 2)

    def read(self, indices: Tensor, size: tuple[int, int], windows_px: Tensor) -> Tensor:
        pixels = torch.as_tensor(self._images[indices.numpy()])  # [B, h, w, 3]
        height, width = pixels.shape[1:3]
        whole = torch.tensor([0.0, 0.0, width, height])
        if (height, width) == size and bool((windows_px == whole).all()):
            return pixels
        planes = pixels.permute(0, 3, 1, 2).float()  # [B, 3, h, w]
        cut = cut_windows(planes, windows_px, size)
        return cut.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def boxes(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        return self._boxes[indices], self._labels[indices]

    def truth(self, index: int) -> BoxTruth:
        real = self._labels[index] >= 0
        boxes = self._boxes[index][real]
        sides = boxes[:, 2:] - boxes[:, :2]
        crowd = torch.zeros(len(boxes), dtype=torch.bool)
        return BoxTruth(boxes, self._labels[index][real], crowd, sides.prod(1))


def cut_windows(planes: Tensor, windows_px: Tensor, size: tuple[int, int]) -> Tensor:
    """float [B, 3, h, w] -> [B, 3, H, W]: each window of its image, bilinear, padded outside.

    Neighbouring pixels are averaged first where a window shrinks to less than half.
    """
    height, width = planes.shape[2:]
    sides = windows_px[:, 2:] - windows_px[:, :2]
    shrink = (sides / torch.tensor([size[1], size[0]])).amin()
    while shrink >= 2 and height % 2 == width % 2 == 0:
        planes, windows_px, shrink = F.avg_pool2d(planes, 2), windows_px / 2, shrink / 2
        height, width = planes.shape[2:]
    x1, y1, x2, y2 = (windows_px / torch.tensor([width, height, width, height])).unbind(1)
    zero = torch.zeros_like(x1)
    affine = torch.stack(
        [
            torch.stack([x2 - x1, zero, x1 + x2 - 1], 1),
            torch.stack([zero, y2 - y1, y1 + y2 - 1], 1),
        ],
        1,
    )  # [B, 2, 3], in the frame where the image spans [-1, 1]
    grid = F.affine_grid(affine, [len(planes), 3, *size], align_corners=False)
    # grid_sample pads with zeros: make the padding's value the zero.
    return F.grid_sample(planes - PAD_VALUE, grid, align_corners=False) + PAD_VALUE
