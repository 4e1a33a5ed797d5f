"""All measures at once, image by image."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from models.data.panoptic import SegmentTruth
from models.segmentation.measures.mask_precision import MaskPrecision
from models.segmentation.measures.mean_iou import MeanIoU
from models.segmentation.measures.panoptic_quality import PanopticQuality


class Finding(Protocol):
    """What was found in one image; see `models.segmentation.segmenting.Found`."""

    @property
    def numbers(self) -> Tensor: ...
    @property
    def semantic(self) -> Tensor: ...
    @property
    def labels(self) -> Tensor: ...
    @property
    def scores(self) -> Tensor: ...


class SegmentMeasures:
    """Panoptic quality, mask precision of the things that are shown, mean IoU of labels."""

    def __init__(self, is_thing: Sequence[bool]) -> None:
        self.is_thing = tuple(is_thing)
        self.quality = PanopticQuality.zero(len(self.is_thing))
        self.precision = MaskPrecision(self.is_thing)
        self.labels = MeanIoU.zero(len(self.is_thing))

    def add(self, truth: SegmentTruth, found: Finding) -> None:
        self.quality.add(truth, found.numbers, found.labels)
        self.precision.add(truth, found.numbers, found.labels, found.scores)
        self.labels.add(truth, found.semantic)

    def figures(self) -> dict[str, float]:
        """`PQ`, `SQ`, `RQ`, with `_th` and `_st`; `mask_AP`, `mask_AP50`, `mask_AP75`; `mIoU`."""
        precision = self.precision.measure().figures
        masks = {f"mask_{name}": precision[name] for name in ("AP", "AP50", "AP75")}
        return self.quality.figures(self.is_thing) | masks | self.labels.figures()
