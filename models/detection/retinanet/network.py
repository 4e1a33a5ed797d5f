"""RetinaNet's network: a pyramid, a head for classes and a head for boxes."""

import math

import torch
from torch import Tensor, nn

from models.backbones.features import Backbone
from models.backbones.pyramid import FeaturePyramid, convolution
from models.detection.anchors import anchor_shapes, grid_anchors
from models.detection.coding import decode_boxes
from models.detection.detector import Candidates, Detector, RawOutputs, Targets
from models.detection.retinanet.spec import RetinaNetSpec

# Legend: B batch, C classes, A anchors a cell, h w cells of a level, N anchors of all levels.

#: The share of positives that the class head expects before training; its bias is -4.6.
PRIOR = 0.01


class RetinaNet(Detector[RetinaNetSpec]):
    """Raw outputs: `class_logits` [B, N, C], `box_codes` [B, N, 4], `anchors` [N, 4] xyxy px."""

    def __init__(self, spec: RetinaNetSpec) -> None:
        super().__init__(spec)
        self.backbone = Backbone(spec.backbone, spec.strides)
        self.pyramid = FeaturePyramid(
            self.backbone.channels,
            spec.channels,
            extra_levels=spec.extra_levels,
            extra_source=spec.extra_source,
            norm=spec.norm,
        )
        self.class_head = _head(spec, len(spec.labels))
        self.box_head = _head(spec, 4)
        bias = self.class_head[-1].bias
        assert isinstance(bias, Tensor)
        nn.init.constant_(bias, -math.log((1 - PRIOR) / PRIOR))
        self._shapes = [anchor_shapes(sizes, spec.anchor_aspects) for sizes in spec.anchor_sizes_px]

    def predict(self, pixels: Tensor, targets: Targets | None) -> RawOutputs:
        levels = self.pyramid(self.backbone(pixels))  # of [B, P, h, w]
        return {
            "class_logits": torch.cat(
                [_rows(self.class_head(x), len(self.spec.labels)) for x in levels], 1
            ),
            "box_codes": torch.cat([_rows(self.box_head(x), 4) for x in levels], 1),
            "anchors": self._anchors(levels, pixels),
        }

    def decode(self, raw: RawOutputs) -> Candidates:
        boxes = decode_boxes(raw["box_codes"], raw["anchors"])
        return Candidates(boxes, raw["class_logits"].sigmoid())

    def _anchors(self, levels: list[Tensor], pixels: Tensor) -> Tensor:
        height, width = pixels.shape[2:]
        anchors = []
        for shapes, level in zip(self._shapes, levels, strict=True):
            h, w = level.shape[2:]
            anchors.append(grid_anchors(shapes, (h, w), (height // h, width // w)))
        return torch.cat(anchors).to(pixels.device)


def _head(spec: RetinaNetSpec, values: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(spec.head_depth):
        layers += [convolution(spec.channels, spec.channels, 3, spec.norm), nn.ReLU()]
    layers.append(nn.Conv2d(spec.channels, spec.anchors_per_cell * values, 3, padding=1))
    head = nn.Sequential(*layers)
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return head


def _rows(maps: Tensor, values: int) -> Tensor:
    """[B, A values, h, w] -> float [B, h w A, values], in the order of the anchors."""
    batch, channels, height, width = maps.shape
    rows = maps.float().reshape(batch, channels // values, values, height, width)
    rows = rows.permute(0, 3, 4, 1, 2)  # [B, h, w, A, values]
    return rows.reshape(batch, height * width * (channels // values), values)
