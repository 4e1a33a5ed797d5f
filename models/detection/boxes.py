"""Boxes as pure functions: their forms, areas and overlaps.

`xyxy` is left, top, right, bottom, `cxcywh` centre and size; any unit, last axis 4. None of the
functions changes its arguments, and all export to ONNX.
"""

import torch
from torch import Tensor

# Legend: N and M boxes; leading dimensions broadcast.


def xyxy_to_cxcywh(boxes_xyxy: Tensor) -> Tensor:
    x1, y1, x2, y2 = boxes_xyxy.unbind(-1)
    return torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], -1)


def cxcywh_to_xyxy(boxes_cxcywh: Tensor) -> Tensor:
    cx, cy, w, h = boxes_cxcywh.unbind(-1)
    return torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1)


def area(boxes_xyxy: Tensor) -> Tensor:
    """[..., 4] -> [...]; an inverted box has none."""
    x1, y1, x2, y2 = boxes_xyxy.unbind(-1)
    return (x2 - x1).clamp_min(0) * (y2 - y1).clamp_min(0)


def clip_to(boxes_xyxy: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut at the borders of an image of `size` = (height, width)."""
    height, width = size
    x1, y1, x2, y2 = boxes_xyxy.unbind(-1)
    return torch.stack(
        [x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)], -1
    )


def pairwise_iou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Intersection over union of all pairs: [..., N, 4] and [..., M, 4] -> [..., N, M].

    Two boxes without area have 0.
    """
    overlap, union = _overlap_and_union(a_xyxy[..., :, None, :], b_xyxy[..., None, :, :])
    return overlap / union.clamp_min(torch.finfo(union.dtype).tiny)


def aligned_giou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Generalised IoU of each box with its partner: [..., 4] and [..., 4] -> [...]."""
    return _giou(a_xyxy, b_xyxy)


def pairwise_giou(a_xyxy: Tensor, b_xyxy: Tensor) -> Tensor:
    """Generalised IoU of all pairs: [..., N, 4] and [..., M, 4] -> [..., N, M]."""
    return _giou(a_xyxy[..., :, None, :], b_xyxy[..., None, :, :])


def _overlap_and_union(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    ax1, ay1, ax2, ay2 = a.unbind(-1)
    bx1, by1, bx2, by2 = b.unbind(-1)
    width = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp_min(0)
    height = (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp_min(0)
    overlap = width * height
    return overlap, area(a) + area(b) - overlap


def _giou(a: Tensor, b: Tensor) -> Tensor:
    """Rezatofighi et al. 2019: the IoU less the share of the hull that neither box covers."""
    overlap, union = _overlap_and_union(a, b)
    ax1, ay1, ax2, ay2 = a.unbind(-1)
    bx1, by1, bx2, by2 = b.unbind(-1)
    width = (torch.maximum(ax2, bx2) - torch.minimum(ax1, bx1)).clamp_min(0)
    height = (torch.maximum(ay2, by2) - torch.minimum(ay1, by1)).clamp_min(0)
    tiny = 1e-7
    hull = (width * height).clamp_min(tiny)
    return overlap / union.clamp_min(tiny) - (hull - union) / hull
