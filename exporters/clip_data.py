"""The images and texts that an exported CLIP is proven and measured on, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from exporters.errors import ExportError
from exporters.images import GOLDEN_REAL_IMAGES, Pixels
from exporters.session import CpuSession
from exporters.unseen import recipe_data
from models.clip import ClipSpec, encode
from models.clip.data import open_captions, open_names
from models.clip.measures import RANKS, name_embeddings, recalls, zero_shot_hits
from models.clip.recipe import DataSpec
from models.data.captioned import CaptionedImages, distinct
from models.data.labelled import LabelledImages

GALLERY: Final = 500
"""Among how many captions that differ retrieval is measured."""

SEARCH: Final = tuple(
    f"{way}_{rank}" for way in ("text_to_image", "image_to_text") for rank in RANKS
)
ZERO_SHOT: Final = ("top1", "top5")

_BATCH: Final = 32


@dataclass(frozen=True)
class UnseenCaptions:
    """Images with texts, and images with names, that no training has seen."""

    images: CaptionedImages
    chosen: Tensor  # int64 [N], of captions that differ
    named: LabelledImages | None

    @property
    def figures(self) -> dict[str, tuple[str, ...]]:
        """What data it is in words, and the names of the figures that are measured on it."""
        searched = f"{self.images.description}, the first {len(self.chosen)} that differ"
        told = {searched: SEARCH}
        if self.named is not None:
            told[f"{self.named.description}, {len(self.named.names)} names"] = ZERO_SHOT
        return told

    def pixels(self, spec: ClipSpec) -> Pixels:
        """A few as the network sees them: uint8 [N, H, W, 3]."""
        pixels: Pixels = self.images.read(self.chosen[:GOLDEN_REAL_IMAGES], spec.input_size).numpy()
        return pixels


def read_unseen_captions(
    metadata: Mapping[str, Any], *, count: int = GALLERY, progress: bool = False
) -> UnseenCaptions:
    """The first `count` captions that differ of the test split of what trained the network."""
    data = recipe_data(DataSpec, metadata)
    try:
        images = open_captions(data, "test", progress=progress)
        named = open_names(data, "test", progress=progress)
    except (ValueError, OSError) as error:
        raise ExportError(f"the checkpoint's test data cannot be read: {error}") from error
    return UnseenCaptions(images, distinct(images, count), named)


def measure_clip(
    image_graph: Path,
    text_graph: Path,
    spec: ClipSpec,
    tokenizer: Tokenizer,
    unseen: UnseenCaptions,
) -> dict[str, float]:
    """Recalls both ways and zero-shot accuracy, of graphs run by ONNX Runtime."""
    towers = _Towers(CpuSession(image_graph), CpuSession(text_graph), spec, tokenizer)
    said = [unseen.images.texts(index)[0] for index in unseen.chosen.tolist()]
    texts, seen = towers.texts(said), towers.images(unseen.images, unseen.chosen)
    forth, back = recalls(texts, seen), recalls(seen, texts)
    figures = {f"text_to_image_{rank}": share for rank, share in forth.items()}
    figures |= {f"image_to_text_{rank}": share for rank, share in back.items()}
    if unseen.named is not None:
        names = towers.texts([spec.template.format(name) for name in unseen.named.names])
        every = torch.arange(len(unseen.named))
        hits = zero_shot_hits(
            towers.images(unseen.named, every), name_embeddings(names[None]), unseen.named.labels
        )
        figures |= dict(zip(ZERO_SHOT, hits, strict=True))
    return figures


def is_told(figure: str) -> bool:
    """Whether a bundle tells a figure of training, and of the float32 graphs."""
    return figure in ("top1", "text_to_image_1", "image_to_text_1")


@dataclass(frozen=True)
class _Towers:
    """Two graphs in the place of the network that they were made from."""

    image: CpuSession
    text: CpuSession
    spec: ClipSpec
    tokenizer: Tokenizer

    def images(self, images: CaptionedImages | LabelledImages, indices: Tensor) -> Tensor:
        """[N, D]"""
        parts = (
            self.image.run({"image": images.read(part, self.spec.input_size).numpy()})
            for part in torch.split(indices, _BATCH)
        )
        return torch.from_numpy(np.concatenate([part["embedding"] for part in parts]))

    def texts(self, texts: list[str]) -> Tensor:
        """[N, D]"""
        tokens = encode(self.tokenizer, texts).numpy()
        return torch.from_numpy(self.text.run_in_batches({"tokens": tokens}, _BATCH)["embedding"])
