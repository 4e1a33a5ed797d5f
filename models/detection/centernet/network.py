"""CenterNet's network: a heatmap of centres, and at each cell the box it would have."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.features import Backbone
from models.backbones.pyramid import FeaturePyramid, convolution
from models.detection.centernet.spec import CenterNetSpec
from models.detection.detector import Candidates, Detector, RawOutputs, Targets

# Legend: B batch, C classes, h w cells of the map of stride R, N = h w candidates.

#: The share of positives that the heatmap expects before training (Lin et al. 2017).
PRIOR = 0.01
_START_SIZE_CELLS = 8.0
_LARGEST_LOG_SIZE = 7.0


class CenterNet(Detector[CenterNetSpec]):
    """Raw outputs: `heatmap` logits [B, C, h, w]; `offsets` [B, 2, h, w], from a cell's corner to
    the centre of its box, x and y in cells; `sizes` [B, 2, h, w], width and height in cells.
    """

    def __init__(self, spec: CenterNetSpec) -> None:
        super().__init__(spec)
        self.backbone = Backbone(spec.backbone, spec.strides)
        self.pyramid = FeaturePyramid(
            self.backbone.channels, spec.channels, norm=spec.norm, kept_levels=1
        )
        self.heatmap_head = _head(spec, len(spec.labels))
        self.box_head = _head(spec, 4)
        nn.init.constant_(_last(self.heatmap_head), -math.log((1 - PRIOR) / PRIOR))
        with torch.no_grad():
            log_size = math.log(_START_SIZE_CELLS)
            _last(self.box_head).copy_(torch.tensor([0.5, 0.5, log_size, log_size]))

    def predict(self, pixels: Tensor, targets: Targets | None) -> RawOutputs:
        (features,) = self.pyramid(self.backbone(pixels))  # [B, P, h, w]
        box = self.box_head(features).float()  # [B, 4, h, w]
        return {
            "heatmap": self.heatmap_head(features).float(),
            "offsets": box[:, :2],
            "sizes": box[:, 2:].clamp_max(_LARGEST_LOG_SIZE).exp(),
        }

    def decode(self, raw: RawOutputs) -> Candidates:
        """Every cell is a candidate; a score that no neighbour exceeds stays, the others are 0."""
        scores = raw["heatmap"].sigmoid()  # [B, C, h, w]
        peaks = scores * (scores == F.max_pool2d(scores, 3, stride=1, padding=1))
        boxes = cell_boxes(raw["offsets"], raw["sizes"], self.spec.stride)
        return Candidates(boxes.flatten(2).transpose(1, 2), peaks.flatten(2).transpose(1, 2))


def cell_boxes(offsets: Tensor, sizes: Tensor, stride: int) -> Tensor:
    """The box of every cell, xyxy in pixels of the input: [B, 2, h, w] twice -> [B, 4, h, w]."""
    height, width = offsets.shape[2:]
    x = torch.arange(width, device=offsets.device, dtype=offsets.dtype)  # [w]
    y = torch.arange(height, device=offsets.device, dtype=offsets.dtype)[:, None]  # [h, 1]
    cx, cy = offsets[:, 0] + x, offsets[:, 1] + y  # [B, h, w] each
    half_w, half_h = sizes[:, 0] / 2, sizes[:, 1] / 2
    return torch.stack([cx - half_w, cy - half_h, cx + half_w, cy + half_h], 1) * stride


def _head(spec: CenterNetSpec, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = spec.channels
    for _ in range(spec.head_depth):
        layers += [convolution(channels, spec.head_channels, 3, spec.norm), nn.ReLU()]
        channels = spec.head_channels
    last = nn.Conv2d(channels, outputs, 1)
    nn.init.normal_(last.weight, std=0.01)
    return nn.Sequential(*layers, last)


def _last(head: nn.Sequential) -> Tensor:
    bias = head[-1].bias
    assert isinstance(bias, Tensor)
    return bias
