"""Boxes relative to others: what a head predicts about an anchor or a proposal."""

import math

import torch
from torch import Tensor

#: Weights of (dx / w, dy / h, ln w, ln h).
Weights = tuple[float, float, float, float]

UNWEIGHTED: Weights = (1.0, 1.0, 1.0, 1.0)

# exp of more than this would make boxes from noise: 1000 px from 16.
_LARGEST_LOG_RATIO = math.log(1000 / 16)


def encode_boxes(
    boxes_xyxy: Tensor, references_xyxy: Tensor, weights: Weights = UNWEIGHTED
) -> Tensor:
    """Codes [..., 4] of boxes relative to references, both with sides above 0 (Girshick 2014)."""
    cx, cy, w, h = _centre_and_size(boxes_xyxy)
    from_cx, from_cy, from_w, from_h = _centre_and_size(references_xyxy)
    return torch.stack(
        [
            weights[0] * (cx - from_cx) / from_w,
            weights[1] * (cy - from_cy) / from_h,
            weights[2] * (w / from_w).log(),
            weights[3] * (h / from_h).log(),
        ],
        -1,
    )


def decode_boxes(codes: Tensor, references_xyxy: Tensor, weights: Weights = UNWEIGHTED) -> Tensor:
    """The inverse of `encode_boxes`; sizes grow at most 62.5-fold."""
    dx, dy, dw, dh = (codes / codes.new_tensor(weights)).unbind(-1)
    from_cx, from_cy, from_w, from_h = _centre_and_size(references_xyxy)
    cx, cy = dx * from_w + from_cx, dy * from_h + from_cy
    half_w = dw.clamp_max(_LARGEST_LOG_RATIO).exp() * from_w / 2
    half_h = dh.clamp_max(_LARGEST_LOG_RATIO).exp() * from_h / 2
    return torch.stack([cx - half_w, cy - half_h, cx + half_w, cy + half_h], -1)


def _centre_and_size(boxes_xyxy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    x1, y1, x2, y2 = boxes_xyxy.unbind(-1)
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
