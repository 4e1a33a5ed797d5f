"""Faster R-CNN's network: a pyramid, proposals from it, a head that judges each."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.backbones.features import Backbone
from models.backbones.pyramid import FeaturePyramid
from models.detection.boxes import clip_to, pairwise_iou
from models.detection.coding import decode_boxes
from models.detection.detector import Candidates, Detector, RawOutputs, Targets
from models.detection.fasterrcnn.pooling import pool_regions
from models.detection.fasterrcnn.proposals import (
    LevelAnchors,
    ProposalHead,
    is_wide,
    select_proposals,
)
from models.detection.fasterrcnn.sampling import sample_balanced
from models.detection.fasterrcnn.spec import FasterRCNNSpec
from models.detection.matching import BACKGROUND, match_by_iou

# Legend: B batch, C labels, U unnamed classes, N anchors, R regions, K places for true boxes,
# M candidates.

#: Detections thinner than this are none.
MIN_SIDE_PX = 1e-2


class BoxHead(nn.Module):
    """What a region shows, and where the object lies if it is of each class."""

    def __init__(self, spec: FasterRCNNSpec) -> None:
        super().__init__()
        self.fc1 = nn.Linear(spec.channels * spec.pool_cells**2, spec.head_width)
        self.fc2 = nn.Linear(spec.head_width, spec.head_width)
        self.classes = nn.Linear(spec.head_width, spec.background + 1)
        self.codes = nn.Linear(spec.head_width, len(spec.labels) * 4)
        nn.init.normal_(self.classes.weight, std=0.01)
        nn.init.normal_(self.codes.weight, std=0.001)
        for layer in (self.classes, self.codes):
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """[B, R, D, S, S] -> logits [B, R, C + U + 1] and codes [B, R, C, 4]."""
        hidden = F.relu(self.fc1(pooled.flatten(2)))
        hidden = F.relu(self.fc2(hidden))
        return self.classes(hidden).float(), self.codes(hidden).float().unflatten(2, (-1, 4))


class FasterRCNN(Detector[FasterRCNNSpec]):
    """Raw outputs: `class_logits` [B, R, C + U + 1], `box_codes` [B, R, C, 4], `regions` [B, R, 4]
    in pixels, and `is_real` bool [B, R] (false where padded).

    In training the regions are a sample, with `region_labels` int64 [B, R] and `region_truths`
    [B, R, 4]; beside them `objectness` [B, N], `anchor_codes` [B, N, 4] and `anchors` [N, 4].
    """

    def __init__(self, spec: FasterRCNNSpec) -> None:
        super().__init__(spec)
        self.backbone = Backbone(spec.backbone, spec.strides)
        self.pyramid = FeaturePyramid(self.backbone.channels, spec.channels, norm=spec.norm)
        self.proposal_head = ProposalHead(spec.channels, spec.anchors_per_cell)
        self.box_head = BoxHead(spec)
        self._anchors = LevelAnchors(spec)

    def predict(self, pixels: Tensor, targets: Targets | None) -> RawOutputs:
        size = (pixels.shape[2], pixels.shape[3])
        levels: list[Tensor] = self.pyramid(self.backbone(pixels))
        proposing = [*levels, F.max_pool2d(levels[-1], 1, 2)]
        anchors = self._anchors(proposing, size)
        logits, codes = map(list, zip(*map(self.proposal_head, proposing), strict=True))
        regions, is_real = select_proposals(logits, codes, anchors, size, self.spec)
        raw: RawOutputs = {}
        if self.training:
            if targets is None:
                raise ValueError("Faster R-CNN samples regions by the true boxes: give targets")
            raw = _sample_regions(regions, is_real, targets, self.spec)
            raw["objectness"], raw["anchor_codes"] = torch.cat(logits, 1), torch.cat(codes, 1)
            raw["anchors"] = torch.cat(anchors)
        else:
            raw = {"regions": regions, "is_real": is_real}
        raw["class_logits"], raw["box_codes"] = self.box_head(self._pool(levels, raw["regions"]))
        return raw

    def decode(self, raw: RawOutputs) -> Candidates:
        """The surest pairs of a region and a class, each a candidate for that class alone."""
        spec, labels = self.spec, len(self.spec.labels)
        boxes = decode_boxes(raw["box_codes"], raw["regions"][:, :, None], spec.box_weights)
        boxes = clip_to(boxes, spec.input_size)  # [B, R, C, 4]
        scores = raw["class_logits"].softmax(-1)[..., :labels]  # [B, R, C]
        scores = scores.where(raw["is_real"][..., None] & is_wide(boxes, MIN_SIDE_PX), 0.0)
        flat = scores.flatten(1)  # [B, R C]
        best, pairs = flat.topk(min(spec.candidates, flat.shape[1]))  # [B, M]
        boxes = boxes.flatten(1, 2).gather(1, pairs[..., None].expand(-1, -1, 4))  # [B, M, 4]
        own = (pairs % labels)[..., None] == torch.arange(labels, device=pairs.device)  # [B, M, C]
        return Candidates(boxes, best[..., None].where(own, 0.0))

    def _pool(self, levels: list[Tensor], regions: Tensor) -> Tensor:
        return pool_regions(
            levels,
            regions,
            strides=self.spec.strides,
            canonical_px=self.spec.canonical_px,
            cells=self.spec.pool_cells,
            samples=self.spec.pool_samples,
            half_pixel=self.spec.pool_half_pixel,
        )


@torch.no_grad()
def _sample_regions(
    proposals: Tensor, is_real: Tensor, targets: Targets, spec: FasterRCNNSpec
) -> RawOutputs:
    """What the head learns on: some of the proposals and of the true boxes, and what they show."""
    truths, is_true = targets.boxes_xyxy, targets.labels >= 0  # [B, K, 4], [B, K]
    regions = torch.cat([proposals, truths.to(proposals.dtype)], 1)
    is_real = torch.cat([is_real, is_true], 1)
    matched = match_by_iou(
        pairwise_iou(truths, regions),
        is_true,
        background=spec.region_foreground_iou,
        foreground=spec.region_foreground_iou,
        keep_best=False,
    )
    chosen, is_sampled = sample_balanced(
        (matched > BACKGROUND) & is_real,
        (matched == BACKGROUND) & is_real,
        count=spec.sampled_regions,
        positive_share=spec.sampled_foreground,
    )  # [B, R]
    owner = matched.gather(1, chosen)
    found = owner.clamp_min(0)
    labels = targets.labels.gather(1, found).where(owner > BACKGROUND, spec.background)
    return {
        "regions": regions.gather(1, chosen[..., None].expand(-1, -1, 4)),
        "is_real": is_sampled,
        "region_labels": labels,
        "region_truths": truths.gather(1, found[..., None].expand(-1, -1, 4)),
    }
