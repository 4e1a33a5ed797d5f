"""Images in files with their segments in files, whatever the segments' format."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from models.data.boxed import PAD_VALUE
from models.data.coco import paste_window
from models.data.panoptic import VOID, Segments, SegmentTruth, look_through

# Legend: N images, B of a batch, K places for segments, H W pixels of the input.


class FileSegments(ABC):
    """See `SegmentedImages`. A format adds `truth`; files are decoded whenever they are read."""

    def __init__(
        self,
        files: Sequence[Path],
        sizes_px: Sequence[tuple[int, int]],
        names: Sequence[str],
        is_thing: Sequence[bool],
        description: str,
    ) -> None:
        self.files = list(files)
        self.names = tuple(names)
        self.is_thing = tuple(is_thing)
        self.description = f"{description}, {len(self.files)} images"
        self._sizes = torch.tensor(list(sizes_px), dtype=torch.int64).view(-1, 2)  # [N, 2]

    def __len__(self) -> int:
        return len(self.files)

    def sizes_px(self, indices: Tensor) -> Tensor:
        return self._sizes[indices]

    def read(self, indices: Tensor, size: tuple[int, int], windows_px: Tensor) -> Tensor:
        result = torch.full((len(indices), *size, 3), PAD_VALUE, dtype=torch.uint8)  # [B, H, W, 3]
        for row, index in enumerate(indices.tolist()):
            width, height = self._sizes[index].tolist()
            window = windows_px[row].tolist()
            paste_window(self.files[index], (width, height), window, result[row].numpy())
        return result

    def segments(self, indices: Tensor, size: tuple[int, int], windows_px: Tensor) -> Segments:
        truths = [self.truth(index) for index in indices.tolist()]
        most = max(1, *(len(truth.labels) for truth in truths))  # losses need a place
        numbers = torch.full((len(truths), *size), VOID, dtype=torch.int16)
        labels = torch.full((len(truths), most), -1)
        for row, truth in enumerate(truths):
            (seen,), inside = look_through([truth.numbers[None]], windows_px[row : row + 1], size)
            seen = seen[0].where(inside[0], VOID)
            present = torch.bincount(seen.flatten().long() + 1, minlength=1 + most)[1:] > 0
            kept = present[: len(truth.labels)] & ~truth.is_crowd
            labels[row, : len(kept)] = truth.labels.where(kept, -1)
            known = torch.cat([kept, kept.new_zeros(1)])[seen.long()]  # the last is VOID's
            numbers[row] = seen.where(known, VOID)
        return Segments(numbers, labels)

    @abstractmethod
    def truth(self, index: int) -> SegmentTruth:
        """All segments of an image, in its own pixels."""
