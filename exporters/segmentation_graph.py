"""Segmenters as graphs: from an image and three thresholds to the segments of its pixels.

B batch, H W pixels, h w cells of the map, Q rows.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from exporters.errors import ExportError
from models.segmentation import SegmenterSpec
from models.segmentation.fusion import Panoptic, Thresholds, fuse

THRESHOLDS: Final = ("score_threshold", "overlap_threshold", "min_area")
OUTPUTS: Final = ("ids", "semantic", "labels", "scores", "areas", "boxes", "count")


class SegmentationGraph(nn.Module):
    """A segmenter with its fusion: what is exported. Outputs as in `Panoptic`."""

    def __init__(self, network: nn.Module, spec: SegmenterSpec, map_stride: int) -> None:
        super().__init__()
        if map_stride < 1 or any(side % map_stride for side in spec.input_size):
            raise ExportError(f"{spec.input_size} does not divide by a map stride of {map_stride}")
        self.network = network
        self.spec = spec
        height, width = spec.input_size
        self.map_size = (height // map_stride, width // map_stride)

    def forward(
        self, image: Tensor, score_threshold: Tensor, overlap_threshold: Tensor, min_area: Tensor
    ) -> Panoptic:
        """uint8 [B, H, W, 3] and float32 [B] three times"""
        (answer,) = self.network(image)
        thresholds = Thresholds(score_threshold, overlap_threshold, min_area)
        return fuse(answer, self.spec, thresholds, self.map_size)
