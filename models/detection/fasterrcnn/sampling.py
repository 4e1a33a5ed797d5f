"""Mini-batches in which the few positives are not drowned."""

import torch
from torch import Tensor

# Legend: B batch, N anchors or regions, S places of the sample.


def sample_balanced(
    positive: Tensor, negative: Tensor, *, count: int, positive_share: float
) -> tuple[Tensor, Tensor]:
    """Draw up to `count` of each row without replacement: indices [B, S], and bool [B, S].

    `positive` and `negative` are bool [B, N]. At most `positive_share` of `count` are positives;
    negatives fill the rest. S is the smaller of `count` and N; where fewer were to be had, the
    second answer is false.
    """
    lot = torch.rand(positive.shape, device=positive.device)  # in [0, 1)
    places = min(max(1, int(count * positive_share)), positive.shape[1])
    drawn, chosen = lot.where(positive, -1.0).topk(places)
    taken = torch.zeros_like(positive).scatter(1, chosen, drawn >= 0)
    order = torch.where(taken, lot + 2, lot.where(negative, -1.0))  # positives come first
    drawn, indices = order.topk(min(count, positive.shape[1]))
    return indices, drawn >= 0
