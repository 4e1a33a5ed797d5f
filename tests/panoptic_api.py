"""COCO's own scorer of panoptic segmentations, and the files that it reads."""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.tools import need

Counts = tuple[float, int, int, int]
"""Of a category: IoU of the matched, matches, false and missed segments."""


@dataclass(frozen=True)
class PanopticFile:
    """One image: a pixel's id is R + 256 G + 65536 B, 0 where nothing is."""

    png: bytes
    segments_info: Sequence[Mapping[str, Any]]

    @classmethod
    def of(
        cls, ids: npt.NDArray[np.integer[Any]], segments: Sequence[Mapping[str, Any]]
    ) -> PanopticFile:
        """`segments` have id, category_id and iscrowd; their areas are counted."""
        channels = [ids % 256, ids // 256 % 256, ids // 65536]
        file = io.BytesIO()
        Image.fromarray(np.stack(channels, -1).astype(np.uint8)).save(file, "PNG")
        return cls(file.getvalue(), [{**s, "area": int((ids == s["id"]).sum())} for s in segments])


def panoptic_counts(
    truths: Sequence[PanopticFile],
    found: Sequence[PanopticFile],
    categories: Sequence[int],
    folder: Path,
) -> dict[int, Counts]:
    """What COCO's scorer counts for each category."""
    pairs = []
    for number, pair in enumerate(zip(truths, found, strict=True)):
        entries = []
        for kind, file in zip(("truth", "found"), pair, strict=True):
            name = f"{number}-{kind}.png"
            (folder / name).write_bytes(file.png)
            infos = [dict(info) for info in file.segments_info]
            entries.append({"image_id": number, "file_name": name, "segments_info": infos})
        pairs.append(entries)
    known = {category: {"id": category} for category in categories}
    with _scorer() as scorer:
        quality = scorer.pq_compute_single_core(0, pairs, str(folder), str(folder), known)
    each = ((category, quality[category]) for category in categories)
    return {category: (float(c.iou), c.tp, c.fp, c.fn) for category, c in each}


@contextlib.contextmanager
def _scorer() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(need("panopticapi"))
        yield importlib.import_module("panopticapi.evaluation")
