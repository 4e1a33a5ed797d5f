"""Greedy non-maximum suppression on batches of fixed shape, equal in eager and exported form."""

from collections.abc import Callable

import torch
from torch import Tensor

# Legend: B batch, K boxes of a sample.


def suppress(boxes_xyxy: Tensor, groups: Tensor | None, iou_threshold: float | Tensor) -> Tensor:
    """Which boxes greedy suppression keeps: bool [B, K].

    `boxes_xyxy` [B, K, 4] come with falling scores. A kept box drops all later ones of its group
    (`groups` int [B, K]; None is one group) whose IoU with it exceeds `iou_threshold`, a number or
    a tensor that broadcasts to [B, 1, 1]. The answer is exact: the rule "a box stays unless a box
    that stays drops it" is repeated to its fixed point, which is what greedy suppression gives.
    Time and memory grow with K².
    """
    drops = _drops(boxes_xyxy, groups, iou_threshold)  # [B, K, K]
    if torch.compiler.is_exporting():
        return _fixed_point_in_graph(drops) > 0
    kept = drops.new_ones(drops.shape[:2])  # [B, K]
    while True:
        previous, kept = kept, _apply(kept, drops)
        if torch.equal(previous, kept):
            return kept > 0


def _drops(boxes_xyxy: Tensor, groups: Tensor | None, iou_threshold: float | Tensor) -> Tensor:
    """1.0 where the earlier box (row) would drop the later one (column): float [B, K, K]."""
    # The sides stay separate tensors: a last axis of 2 is several times slower on processors.
    x1, y1, x2, y2 = boxes_xyxy.unbind(-1)  # [B, K] each
    left, right = _pairs(torch.maximum, x1), _pairs(torch.minimum, x2)  # [B, K, K]
    top, bottom = _pairs(torch.maximum, y1), _pairs(torch.minimum, y2)
    overlap = (right - left).clamp_min(0) * (bottom - top).clamp_min(0)
    area = (x2 - x1) * (y2 - y1)  # [B, K]
    union = area[:, :, None] + area[:, None, :] - overlap
    drops = overlap > iou_threshold * union
    if groups is not None:
        drops = drops & (groups[:, :, None] == groups[:, None, :])
    return torch.triu(drops.to(boxes_xyxy.dtype), diagonal=1)


def _pairs(function: Callable[[Tensor, Tensor], Tensor], side: Tensor) -> Tensor:
    return function(side[:, :, None], side[:, None, :])


def _apply(kept: Tensor, drops: Tensor) -> Tensor:
    """One round: float [B, K] -> float [B, K], of zeros and ones."""
    dropped = torch.bmm(kept[:, None, :], drops)[:, 0]  # [B, K]
    return (dropped == 0).to(kept.dtype)


def _fixed_point_in_graph(drops: Tensor) -> Tensor:
    """The same rounds as an ONNX Loop, which ends by itself."""
    from torch._higher_order_ops.while_loop import while_loop

    def goes_on(kept: Tensor, changed: Tensor) -> Tensor:
        return changed.clone()  # the operator forbids an output that is its input

    def round_(kept: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
        following = _apply(kept, drops)
        return following, (following != kept).any()

    start = torch.ones_like(drops[:, 0])  # [B, K]
    first = torch.ones((), dtype=torch.bool, device=drops.device)
    kept: Tensor = while_loop(goes_on, round_, (start, first))[0]  # type: ignore[no-untyped-call]
    return kept
