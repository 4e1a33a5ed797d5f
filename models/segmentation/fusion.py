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
        cls, count: int, *, score: float, overlap: float, min_area: float, like: Tensor
    ) -> "Thresholds":
        return cls(*(like.new_full((count,), value) for value in (score, overlap, min_area)))


class Panoptic(NamedTuple):
    """Rows from `counts` on are padding; the first has the highest score."""

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
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    labels = labels.gather(1, order)
    wanted = scores >= thresholds.score[:, None]
    owner, areas, own = _owners(masks, scores, order, wanted)
    kept = wanted & (areas > 0) & (areas >= thresholds.overlap[:, None] * own)
    first = _first_of_kind(labels, kept, spec)  # [B, Q], the row that this one is part of
    areas = torch.zeros_like(areas).scatter_add(1, first, areas.where(kept, 0.0))
    cells = map_size[0] * map_size[1]
    alone = first == torch.arange(spec.queries, device=first.device)
    stays = kept & alone & (areas >= thresholds.min_area[:, None] * cells)
    # Rows that stay move to the front, in their order.
    rank = stays.long().cumsum(1)  # 1 + the row of the answer
    number = (rank * stays).gather(1, first) * kept  # [B, Q]: 1 + row of each query, or 0
    table = F.pad(number, (1, 0))  # for cells of no query
    ids = table.gather(1, owner.flatten(1)).view_as(owner)
    return _rows(ids, semantic, labels, scores, areas, stays, rank, spec)


def _owners(
    masks: Tensor, scores: Tensor, order: Tensor, wanted: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Whose each cell is: 1 + place in the order, or 0 [B, h, w]; so many cells and the areas of
    the masks themselves [B, Q]."""
    place = order.argsort(1)  # [B, Q], of the queries
    weight = (scores * wanted).gather(1, place)  # back in the queries' order: masks stay put
    best, query = (masks * weight[..., None, None]).max(1)  # [B, h, w] each
    inside = masks.gather(1, query[:, None])[:, 0] >= 0.5
    owner = place.gather(1, query.flatten(1)).view_as(query) + 1
    owner = owner.where(inside & (best > 0), 0)
    counts = torch.zeros(
        (scores.shape[0], scores.shape[1] + 1), dtype=masks.dtype, device=masks.device
    )
    counts = counts.scatter_add(1, owner.flatten(1), torch.ones_like(masks[:, 0]).flatten(1))
    own = (masks >= 0.5).to(masks.dtype).sum((2, 3)).gather(1, order)
    return owner, counts[:, 1:], own


def _first_of_kind(labels: Tensor, kept: Tensor, spec: SegmenterSpec) -> Tensor:
    """For stuff the first kept row of the same label, for things the row itself: [B, Q]."""
    rows = torch.arange(labels.shape[1], device=labels.device)
    is_stuff = ~torch.tensor(spec.is_thing, device=labels.device)[labels]
    alike = (labels[:, :, None] == labels[:, None]) & kept[:, None] & is_stuff[:, :, None]
    alike = alike | torch.eye(len(rows), dtype=torch.bool, device=labels.device)
    return alike.to(torch.uint8).argmax(2)


def _rows(
    ids: Tensor,
    semantic: Tensor,
    labels: Tensor,
    scores: Tensor,
    areas: Tensor,
    stays: Tensor,
    rank: Tensor,
    spec: SegmenterSpec,
) -> Panoptic:
    counts = stays.sum(1)
    rows = torch.arange(labels.shape[1], device=labels.device)
    source = ((rank[:, None] == rows[:, None] + 1) & stays[:, None]).to(torch.uint8).argmax(2)
    real = rows < counts[:, None]  # [B, Q]
    return Panoptic(
        ids.to(torch.uint8),
        semantic.to(torch.uint8),
        labels.gather(1, source).where(real, 0),
        scores.gather(1, source).where(real, 0.0),
        areas.gather(1, source).where(real, 0.0),
        _boxes(ids, labels.shape[1], spec.input_size) * real[..., None],
        counts,
    )


def _boxes(ids: Tensor, count: int, input_size: tuple[int, int]) -> Tensor:
    """What encloses each row's cells, in pixels of the input: [B, h, w] -> [B, Q, 4]."""
    height, width = ids.shape[1:]
    rows = torch.arange(1, count + 1, device=ids.device)
    columns = torch.arange(width, device=ids.device)
    lines = torch.arange(height, device=ids.device)
    is_row = ids[:, None] == rows[:, None, None]  # [B, Q, h, w]
    across, down = is_row.any(2), is_row.any(3)  # [B, Q, w], [B, Q, h]
    x1 = columns.where(across, width).amin(2)
    x2 = (columns + 1).where(across, 0).amax(2)
    y1 = lines.where(down, height).amin(2)
    y2 = (lines + 1).where(down, 0).amax(2)
    boxes = torch.stack([x1, y1, x2, y2], -1).float()
    scale_y, scale_x = input_size[0] / height, input_size[1] / width
    return boxes * boxes.new_tensor([scale_x, scale_y, scale_x, scale_y])
