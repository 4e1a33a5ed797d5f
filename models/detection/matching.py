"""Which prediction answers for which true box: by overlap, or one to one at the least cost."""

import torch
from torch import Tensor

# Legend: B batch, K places for true boxes, N anchors or proposals, Q queries.

BACKGROUND = -1
IGNORED = -2


def match_by_iou(
    iou: Tensor, is_real: Tensor, *, background: float, foreground: float, keep_best: bool = True
) -> Tensor:
    """For each of N the true box that it answers for: int64 [B, N], or BACKGROUND, or IGNORED.

    `iou` is [B, K, N], `is_real` bool [B, K] (false where padded). IoU below `background` is
    background, from `foreground` on a match, in between ignored. With `keep_best` those that
    overlap a true box most, ties included, match at any IoU above 0: their own best box.
    """
    if not 0 <= background <= foreground:
        raise ValueError(f"need 0 <= background <= foreground, got {background}, {foreground}")
    real = is_real[..., None]  # [B, K, 1]
    masked = iou.where(real, -1)
    best, owner = masked.max(1)  # [B, N] each
    matched = owner.where(best >= foreground, IGNORED)
    matched = matched.where(best >= background, BACKGROUND)
    if keep_best:
        most = masked.amax(2, keepdim=True)  # [B, K, 1]
        chosen = ((masked == most) & real & (most > 0)).any(1)  # [B, N]
        matched = owner.where(chosen, matched)
    return matched


def match_hungarian(cost: Tensor, is_real: Tensor) -> list[tuple[Tensor, Tensor]]:
    """One to one at the least total cost: for each image (queries, true boxes), int64 [k] each.

    `cost` is [B, Q, K]; columns where `is_real` [B, K] is false take no part.
    """
    from scipy.optimize import linear_sum_assignment

    pairs = []
    for matrix, real in zip(cost.detach().float().cpu(), is_real.cpu(), strict=True):
        columns = real.nonzero()[:, 0]
        queries, chosen = linear_sum_assignment(matrix[:, columns].numpy())
        pairs.append(
            (
                torch.as_tensor(queries, dtype=torch.int64, device=cost.device),
                columns[torch.as_tensor(chosen, dtype=torch.int64)].to(cost.device),
            )
        )
    return pairs
