"""DETR's network: a backbone, a transformer, a class and a box for each query."""

import torch
from torch import Tensor, nn

from models.backbones.features import Backbone
from models.detection.boxes import cxcywh_to_xyxy
from models.detection.detector import Candidates, Detector, RawOutputs, Targets
from models.detection.detr.position import sine_positions
from models.detection.detr.spec import DETRSpec
from models.detection.detr.transformer import Transformer

# Legend: B batch, Q queries, C labels, U unnamed classes, D width, L answering decoder layers,
# h w cells of the map.


class DETR(Detector[DETRSpec]):
    """Raw outputs: `class_logits` [L, B, Q, C + U + 1], `boxes_cxcywh` [L, B, Q, 4] in [0, 1] of
    the input's sides, and `size_px` [2], its width and height.

    L counts all decoder layers in training, and is 1 in evaluation mode.
    """

    def __init__(self, spec: DETRSpec) -> None:
        super().__init__(spec)
        self.backbone = Backbone(spec.backbone, (spec.stride,))
        self.projection = nn.Conv2d(self.backbone.channels[-1], spec.width, 1)
        self.transformer = Transformer(
            width=spec.width,
            heads=spec.heads,
            encoder_layers=spec.encoder_layers,
            decoder_layers=spec.decoder_layers,
            feedforward=spec.feedforward,
            dropout=spec.dropout,
        )
        self.queries = nn.Parameter(torch.randn(spec.queries, spec.width))
        self.classes = nn.Linear(spec.width, spec.background + 1)
        self.boxes = nn.Sequential(
            nn.Linear(spec.width, spec.width),
            nn.ReLU(),
            nn.Linear(spec.width, spec.width),
            nn.ReLU(),
            nn.Linear(spec.width, 4),
        )

    def predict(self, pixels: Tensor, targets: Targets | None) -> RawOutputs:
        (features,) = self.backbone(pixels)
        features = self.projection(features)  # [B, D, h, w]
        h, w = features.shape[2:]
        positions = sine_positions(h, w, self.spec.width, device=pixels.device)
        tokens = features.flatten(2).transpose(1, 2)  # [B, h w, D]
        states = torch.stack(self.transformer(tokens, positions, self.queries))  # [L, B, Q, D]
        return {
            "class_logits": self.classes(states).float(),
            "boxes_cxcywh": self.boxes(states).float().sigmoid(),
            "size_px": pixels.new_tensor([pixels.shape[3], pixels.shape[2]]),
        }

    def decode(self, raw: RawOutputs) -> Candidates:
        """A query answers for its likeliest label alone: without suppression it would for all."""
        scores = raw["class_logits"][-1].softmax(-1)[..., : len(self.spec.labels)]  # [B, Q, C]
        best = scores.amax(-1, keepdim=True)
        sides = raw["size_px"].repeat(2)  # width, height, width, height
        boxes = cxcywh_to_xyxy(raw["boxes_cxcywh"][-1]) * sides
        return Candidates(boxes, scores.where(scores == best, 0.0))
