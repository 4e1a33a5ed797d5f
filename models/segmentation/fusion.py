"""From classes and masks of queries to one segment a pixel: what the server answers with."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from models.segmentation.decoder import Answer
from models.segmentation.spec import SegmenterSpec

# Legend: B batch, Q queries, and rows of the answer, C labels, h w cells of the map,
# H W pixels of the input.


class Thresholds(NamedTuple):
    """What is shown. Floats [B] each, so that every sample may have its own."""

    score: Tensor  # queries below it are dropped
    overlap: Tensor  # a segment that keeps less than this share of its own mask is dropped
    min_area: Tensor  # a segment of less than this share of the map is dropped

    @classmethod
    def same(
        cls, count: int, score: float, overlap: float, min_area: float, *, like: Tensor
    ) -> "Thresholds":
        return cls(*(like.new_full((count,), value) for value in (score, overlap, min_area)))


class Panoptic(NamedTuple):
    """Rows are in the order of the queries, whatever their scores, so that a digit more or less
    does not turn them around. Rows from `counts` on are padding."""

    ids: Tensor  # [B, h, w] uint8, 0 nothing, 1 + the row
    semantic: Tensor  # [B, h, w] uint8, the likeliest label of every cell
    labels: Tensor  # [B, Q] int64
    scores: Tensor  # [B, Q] float
    areas: Tensor  # [B, Q] float, cells of the map
    boxes_xyxy: Tensor  # [B, Q, 4] float, pixels of the input
    counts: Tensor  # [B] int64


def fuse(
    answer: Answer, spec: SegmenterSpec, thresholds: Thresholds, map_size: tuple[int, int]
) -> Panoptic:
    """Panoptic inference of Cheng et al. 2021, without a loop, so that it exports.

    A cell belongs to the query of the highest score times mask, if it lies in that query's mask.
    Segments of one stuff label are one row.
    """
    probability = answer.class_logits.softmax(-1)[..., :-1]  # [B, Q, C]
    masks = F.interpolate(
        answer.mask_logits, map_size, mode="bilinear", align_corners=False
    ).sigmoid()  # [B, Q, h, w]
    semantic = torch.einsum("bqc,bqhw->bchw", probability, masks).argmax(1)
    scores, labels = probability.max(-1)  # [B, Q] each
    wanted = scores >= thresholds.score[:, None]
    best, query = (masks * (scores * wanted)[..., None, None]).max(1)  # [B, h, w] each
    inside = masks.gather(1, query[:, None])[:, 0] >= 0.5
    owner = (query + 1).where(inside & (best > 0), 0)  # 1 + the query, or 0
    queries = torch.arange(spec.queries, device=owner.device)
    # As floats: engines are slow to count what is true.
    owned = (owner[:, None] == (queries + 1)[:, None, None]).float()  # [B, Q, h, w]
    areas, whole = owned.sum((2, 3)), (masks >= 0.5).float().sum((2, 3))
    kept = wanted & (areas > 0) & (areas >= thresholds.overlap[:, None] * whole)
    first = _first_of_kind(labels, kept, spec)  # [B, Q]
    members = (first[:, None] == queries[:, None]) & kept[:, None]  # [B, Q rows, Q]
    areas = areas[:, None].where(members, 0.0).sum(2)
    cells = map_size[0] * map_size[1]
    stays = (areas > 0) & (areas >= thresholds.min_area[:, None] * cells)
    rank = stays.long().cumsum(1) * stays  # 1 + the row of the answer, or 0
    table = F.pad(rank.gather(1, first) * kept, (1, 0))  # the same for every owner
    ids = table.gather(1, owner.flatten(1)).view_as(owner)
    chosen = (rank[:, None] == (queries + 1)[:, None]).to(torch.uint8)  # [B, Q answered, Q]
    counts = stays.sum(1)
    real, source = queries < counts[:, None], chosen.argmax(2)  # [B, Q] each
    boxes = _merge_boxes(_boxes(owned, spec.input_size), members)
    highest = scores[:, None].where(members, 0.0).amax(2)
    return Panoptic(
        ids.to(torch.uint8),
        semantic.to(torch.uint8),
        labels.gather(1, source).where(real, 0),
        highest.gather(1, source).where(real, 0.0),
        areas.gather(1, source).where(real, 0.0),
        boxes.gather(1, source[..., None].expand(-1, -1, 4)) * real[..., None],
        counts,
    )


def _first_of_kind(labels: Tensor, kept: Tensor, spec: SegmenterSpec) -> Tensor:
    """For stuff the first kept query of the same label, for things the query itself: [B, Q]."""
    is_stuff = ~torch.tensor(spec.is_thing, device=labels.device)[labels]
    alike = (labels[:, :, None] == labels[:, None]) & kept[:, None] & is_stuff[:, :, None]
    itself = torch.eye(labels.shape[1], dtype=torch.bool, device=labels.device)
    return (alike | (itself & ~alike.any(2, keepdim=True))).to(torch.uint8).argmax(2)


def _boxes(owned: Tensor, input_size: tuple[int, int]) -> Tensor:
    """What encloses the cells of each query, in pixels of the input: [B, Q, h, w] of zeros and ones
    -> [B, Q, 4]."""
    height, width = owned.shape[2:]
    columns = torch.arange(width, device=owned.device)
    lines = torch.arange(height, device=owned.device)
    across, down = owned.amax(2) > 0, owned.amax(3) > 0  # [B, Q, w], [B, Q, h]
    x1 = columns.where(across, width).amin(2)
    x2 = (columns + 1).where(across, 0).amax(2)
    y1 = lines.where(down, height).amin(2)
    y2 = (lines + 1).where(down, 0).amax(2)
    boxes = torch.stack([x1, y1, x2, y2], -1).float()
    scale_y, scale_x = input_size[0] / height, input_size[1] / width
    return boxes * boxes.new_tensor([scale_x, scale_y, scale_x, scale_y])


def _merge_boxes(boxes: Tensor, members: Tensor) -> Tensor:
    """What encloses all members of each row: [B, Q, 4] and bool [B, rows, Q] -> [B, rows, 4]."""
    member = members[..., None]
    first = boxes[:, None, :, :2].where(member, torch.inf).amin(2)
    last = boxes[:, None, :, 2:].where(member, 0.0).amax(2)
    return torch.cat([first, last], -1).where(members.any(2, keepdim=True), 0.0)
