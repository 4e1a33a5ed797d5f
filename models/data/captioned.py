"""Images with texts, wherever they come from: the interface that CLIP trains on."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from models.data.labelled import read_array

# Legend: N images of the set, B of a batch, H W pixels.


class CaptionedImages(Protocol):
    """A set of images, each with one or more texts that are true of it."""

    description: str

    def __len__(self) -> int: ...

    def read(self, indices: Tensor, size: tuple[int, int], windows: Tensor | None = None) -> Tensor:
        """Images uint8 RGB [B, H, W, 3], as `LabelledImages.read` gives them."""
        ...

    def texts(self, index: int) -> tuple[str, ...]:
        """What may be said of an image. Images whose first texts are equal show the same thing."""
        ...


class ArrayCaptions:
    """Images that lie in one uint8 array [N, H, W, 3], in memory or mapped, and their texts."""

    def __init__(
        self, images: Any, texts: Sequence[str] | Sequence[tuple[str, ...]], description: str
    ) -> None:
        if len(images) != len(texts):
            raise ValueError(f"{len(images)} images, but texts for {len(texts)}")
        self.description = description
        self._images = images
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def read(self, indices: Tensor, size: tuple[int, int], windows: Tensor | None = None) -> Tensor:
        return read_array(self._images, indices, size, windows)

    def texts(self, index: int) -> tuple[str, ...]:
        said = self._texts[index]
        return (said,) if isinstance(said, str) else said


class JoinedCaptions:
    """Several sets, one after the other."""

    def __init__(self, parts: Sequence[CaptionedImages]) -> None:
        if not parts:
            raise ValueError("there is nothing to join")
        self.description = "; ".join(part.description for part in parts)
        self._parts = tuple(parts)
        self._ends = torch.tensor([len(part) for part in parts]).cumsum(0)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, indices: Tensor, size: tuple[int, int], windows: Tensor | None = None) -> Tensor:
        result = torch.empty(len(indices), *size, 3, dtype=torch.uint8)  # [B, H, W, 3]
        owners = torch.searchsorted(self._ends, indices, right=True)
        for number, part in enumerate(self._parts):
            here = owners == number
            if here.any():
                chosen = None if windows is None else windows[here]
                result[here] = part.read(indices[here] - self._start(number), size, chosen)
        return result

    def texts(self, index: int) -> tuple[str, ...]:
        number = int(torch.searchsorted(self._ends, index, right=True))
        return self._parts[number].texts(index - self._start(number))

    def _start(self, number: int) -> int:
        return int(self._ends[number - 1]) if number else 0


def distinct(images: CaptionedImages, count: int) -> Tensor:
    """The first `count` images of which no two have the same first text, int64 [<= count]."""
    seen: dict[str, int] = {}
    for index in range(len(images)):
        if len(seen) == count:
            break
        seen.setdefault(images.texts(index)[0], index)
    return torch.tensor(list(seen.values()), dtype=torch.int64)
