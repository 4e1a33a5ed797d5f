"""The region proposal network: where there may be an object, of whatever class."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.detection.anchors import anchor_shapes, grid_anchors
from models.detection.boxes import clip_to
from models.detection.coding import decode_boxes
from models.detection.fasterrcnn.spec import FasterRCNNSpec
from models.detection.suppression import suppress

# Legend: B batch, A anchors a cell, h w cells of a level, N its anchors, R regions of a sample.

#: Regions thinner than this are dropped.
MIN_SIDE_PX = 1e-3


class ProposalHead(nn.Module):
    """For each anchor how likely it is to hold an object, and where that would be."""

    def __init__(self, channels: int, anchors_per_cell: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels, channels, 3, padding=1)
        self.objectness = nn.Conv2d(channels, anchors_per_cell, 1)
        self.codes = nn.Conv2d(channels, anchors_per_cell * 4, 1)
        for layer in (self.hidden, self.objectness, self.codes):
            nn.init.normal_(layer.weight, std=0.01)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)

    def forward(self, level: Tensor) -> tuple[Tensor, Tensor]:
        """A map [B, D, h, w] -> logits [B, N] and codes [B, N, 4], in the order of the anchors."""
        hidden = F.relu(self.hidden(level))
        logits = self.objectness(hidden).float().permute(0, 2, 3, 1).flatten(1)
        codes = self.codes(hidden).float().unflatten(1, (-1, 4))  # [B, A, 4, h, w]
        return logits, codes.permute(0, 3, 4, 1, 2).flatten(1, 3)


class LevelAnchors:
    """The anchors of every level of a pyramid."""

    def __init__(self, spec: FasterRCNNSpec) -> None:
        self._shapes = [anchor_shapes(sizes, spec.anchor_aspects) for sizes in spec.anchor_sizes_px]

    def __call__(self, levels: list[Tensor], size: tuple[int, int]) -> list[Tensor]:
        """For each of the maps [B, D, h, w] of an image of `size` (height, width): [N, 4] xyxy."""
        anchors = []
        for shapes, level in zip(self._shapes, levels, strict=True):
            h, w = level.shape[2:]
            of_level = grid_anchors(shapes, (h, w), (size[0] // h, size[1] // w))
            anchors.append(of_level.to(level.device))
        return anchors


@torch.no_grad()
def select_proposals(
    logits: list[Tensor],
    codes: list[Tensor],
    anchors: list[Tensor],
    size: tuple[int, int],
    spec: FasterRCNNSpec,
) -> tuple[Tensor, Tensor]:
    """The surest boxes: [B, R, 4] inside an image of `size`, and which are real: bool [B, R].

    One entry a level: `logits` [B, N], `codes` [B, N, 4], `anchors` [N, 4]. Within a level, boxes
    that overlap a surer one are dropped. R follows from the spec and the size.
    """
    most = min(spec.proposals_before_nms, max(rows.shape[1] for rows in logits))
    level_boxes, level_scores = [], []
    for rows, row_codes, level_anchors in zip(logits, codes, anchors, strict=True):
        count = min(most, rows.shape[1])
        best, chosen = rows.topk(count)  # [B, count]
        best_codes = row_codes.gather(1, chosen[..., None].expand(-1, -1, 4))
        boxes = clip_to(decode_boxes(best_codes, level_anchors[chosen]), size)
        level_boxes.append(F.pad(boxes, (0, 0, 0, most - count)))  # without area: dropped below
        level_scores.append(F.pad(best.sigmoid(), (0, most - count)))
    boxes, scores = torch.stack(level_boxes, 1), torch.stack(level_scores, 1)  # [B, levels, most]
    kept = suppress(boxes.flatten(0, 1), None, spec.proposal_nms_iou).reshape(scores.shape)
    kept = kept & is_wide(boxes, MIN_SIDE_PX)
    scores = scores.where(kept, -1.0).flatten(1)
    regions = min(spec.proposals, sum(min(most, rows.shape[1]) for rows in logits))
    best, chosen = scores.topk(regions)  # [B, R]
    return boxes.flatten(1, 2).gather(1, chosen[..., None].expand(-1, -1, 4)), best >= 0


def is_wide(boxes_xyxy: Tensor, min_side_px: float) -> Tensor:
    """Whether both sides are at least that long: [..., 4] -> bool [...]."""
    x1, y1, x2, y2 = boxes_xyxy.unbind(-1)
    return (x2 - x1 >= min_side_px) & (y2 - y1 >= min_side_px)
