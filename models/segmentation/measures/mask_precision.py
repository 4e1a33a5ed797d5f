"""Average precision of masks as COCO defines it, over the things that were found."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.data.panoptic import SegmentTruth
from models.detection.measures import AveragePrecision, evaluate_coco

# Legend: n segments, h w pixels.


class MaskPrecision:
    """Collects the things of image after image, as runs, and measures them together."""

    def __init__(self, is_thing: Sequence[bool]) -> None:
        self._is_thing = torch.tensor(is_thing)
        self._sizes: list[tuple[int, int]] = []  # height and width of each image
        self._truths: list[dict[str, Any]] = []
        self._found: list[dict[str, Any]] = []

    def add(self, truth: SegmentTruth, numbers: Tensor, labels: Tensor, scores: Tensor) -> None:
        """One image: what was found is `numbers` [h, w], rows of `labels` and `scores` [n]."""
        for row in self._is_thing[truth.labels].nonzero()[:, 0].tolist():
            mask = truth.numbers == row
            if mask.any():
                own = {"iscrowd": int(truth.is_crowd[row]), "id": len(self._truths) + 1}
                self._truths.append(self._annotation(mask, int(truth.labels[row])) | own)
        for row in self._is_thing[labels].nonzero()[:, 0].tolist():
            annotation = self._annotation(numbers == row, int(labels[row]))
            self._found.append(annotation | {"score": float(scores[row])})
        self._sizes.append((numbers.shape[0], numbers.shape[1]))

    def measure(self) -> AveragePrecision:
        document = {
            "images": [
                {"id": image, "height": h, "width": w} for image, (h, w) in enumerate(self._sizes)
            ],
            "categories": [{"id": c, "name": str(c)} for c in range(len(self._is_thing))],
            "annotations": self._truths,
        }
        return evaluate_coco(document, self._found, kind="segm")

    def _annotation(self, mask: Tensor, label: int) -> dict[str, Any]:
        from faster_coco_eval.core import mask as coco

        runs = coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
        return {
            "image_id": len(self._sizes),
            "category_id": label,
            "segmentation": runs,
            "area": float(mask.sum()),
            "bbox": coco.toBbox(runs).tolist(),
        }
