"""Images whose pixels all belong to segments: the interface that segmentation trains on."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from models.data.boxed import cut_windows

# Legend: N images of the set, B of a batch, K places for segments, k segments of one image,
# H W pixels of the input, h w pixels of an image.

#: In a map of segments: no segment is here, or none that is known.
VOID = -1


class Segments(NamedTuple):
    """The segments of a batch. No pixel belongs to two; there is at least one place."""

    numbers: Tensor  # [B, H, W] int16, the place of the segment in `labels`, or VOID
    labels: Tensor  # [B, K] int64, -1 where there is no segment


class SegmentTruth(NamedTuple):
    """All that is known of one image, for evaluation."""

    numbers: Tensor  # [h, w] int16, the row in `labels`, or VOID
    labels: Tensor  # [k] int64
    is_crowd: Tensor  # [k] bool: many objects in one segment, neither to be found nor to be missed


class SegmentedImages(Protocol):
    """A set of images with segments of things, one an object, and of stuff, one a label."""

    names: tuple[str, ...]
    is_thing: tuple[bool, ...]
    description: str

    def __len__(self) -> int: ...

    def sizes_px(self, indices: Tensor) -> Tensor:
        """Width and height of images: int64 [B, 2]."""
        ...

    def read(self, indices: Tensor, size: tuple[int, int], windows_px: Tensor) -> Tensor:
        """Images uint8 RGB [B, H, W, 3]; see `models.data.boxed.BoxedImages.read`."""
        ...

    def segments(self, indices: Tensor, size: tuple[int, int], windows_px: Tensor) -> Segments:
        """What can be learnt, seen through the same windows: crowds and padding are VOID."""
        ...

    def truth(self, index: int) -> SegmentTruth: ...


class ArraySegments:
    """Images of one size in arrays, in memory or mapped from disk.

    `images` uint8 [N, h, w, 3]. `instances` [N, h, w] is 0 in stuff, 1 + k in object k; `classes`
    [N, h, w] numbers the names. Every object shows one class.
    """

    def __init__(
        self,
        images: Any,
        instances: Any,
        classes: Any,
        names: Sequence[str],
        is_thing: Sequence[bool],
        description: str,
    ) -> None:
        self.names = tuple(names)
        self.is_thing = tuple(is_thing)
        self.description = description
        self._images = images
        self._instances = instances
        self._classes = classes
        if not len(images) == len(instances) == len(classes):
            raise ValueError(f"{len(images)} images, {len(instances)} and {len(classes)} maps")

    def __len__(self) -> int:
        return len(self._images)

    def sizes_px(self, indices: Tensor) -> Tensor:
        height, width = self._images.shape[1:3]
        return torch.tensor([width, height]).expand(len(indices), 2)

    def read(self, indices: Tensor, size: tuple[int, int], windows_px: Tensor) -> Tensor:
        pixels = torch.as_tensor(self._images[indices.numpy()])  # [B, h, w, 3]
        planes = pixels.permute(0, 3, 1, 2).float()
        cut = cut_windows(planes, windows_px, size)
        return cut.round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def segments(self, indices: Tensor, size: tuple[int, int], windows_px: Tensor) -> Segments:
        rows = indices.numpy()
        maps = [torch.as_tensor(each[rows]) for each in (self._instances, self._classes)]
        (instances, classes), inside = look_through(maps, windows_px, size)
        numbers = self._combine(instances.long(), classes.long()).where(inside, VOID)
        labels = torch.full((len(numbers), int(numbers.max()) + 2), -1)
        labels.scatter_(1, numbers.flatten(1) + 1, classes.long().flatten(1))
        return Segments(numbers.to(torch.int16), labels[:, 1:])  # without VOID's place

    def truth(self, index: int) -> SegmentTruth:
        instances, classes = (
            torch.from_numpy(np.array(each[index], dtype=np.int64))
            for each in (self._instances, self._classes)
        )
        places, numbers = torch.unique(self._combine(instances, classes), return_inverse=True)
        labels = torch.zeros_like(places).scatter_(0, numbers.flatten(), classes.flatten())
        crowd = torch.zeros(len(labels), dtype=torch.bool)
        return SegmentTruth(numbers.to(torch.int16), labels, crowd)

    def _combine(self, instances: Tensor, classes: Tensor) -> Tensor:
        """Stuff takes the first places, one a label, then the objects."""
        is_stuff = ~torch.tensor(self.is_thing)
        stuff_places = (is_stuff.cumsum(0) - 1).clamp_min(0)
        objects = int(is_stuff.sum()) - 1 + instances
        return torch.where(instances > 0, objects, stuff_places[classes])


def look_through(
    maps: Sequence[Tensor], windows_px: Tensor, size: tuple[int, int]
) -> tuple[list[Tensor], Tensor]:
    """Maps [B, h, w] seen through windows [B, 4] at `size` = (H, W), and where there is something
    to be seen, bool [B, H, W]. The pixel under the middle of each of the window's."""
    height, width = maps[0].shape[1:]
    rows = _pixels_along(windows_px[:, 1], windows_px[:, 3], size[0])  # [B, H]
    columns = _pixels_along(windows_px[:, 0], windows_px[:, 2], size[1])  # [B, W]
    inside = ((rows >= 0) & (rows < height))[:, :, None]
    inside = inside & ((columns >= 0) & (columns < width))[:, None]  # [B, H, W]
    index = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None]
    flat = index.flatten(1)
    return [each.flatten(1).gather(1, flat).view(-1, *size) for each in maps], inside


def _pixels_along(start: Tensor, end: Tensor, count: int) -> Tensor:
    """Which pixel of the image lies under the middle of each of the window's: int64 [B, count]."""
    middles = (torch.arange(count) + 0.5) / count
    return (start[:, None] + (end - start)[:, None] * middles).floor().long()
