"""What a CLIP's embeddings are good for: names of images, and finding one by the other.

N images, M texts, C names, D dimensions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

RANKS = (1, 5, 10)


def recalls(queries: Tensor, items: Tensor, ranks: Sequence[int] = RANKS) -> dict[int, float]:
    """The share of queries whose own item is among the best K, for each K.

    Both float [N, D], row i of one belonging to row i of the other. Of items that are equally near
    the query's own counts as the last: a space where all is one has no recall.
    """
    scores = queries @ items.T  # [N, N]
    own = scores.diagonal()[:, None]
    better = (scores >= own).sum(1)  # itself included: 1 is the best
    return {rank: float((better <= rank).float().mean()) for rank in ranks}


def zero_shot_hits(images: Tensor, names: Tensor, labels: Tensor) -> tuple[float, float]:
    """Top-1 and top-5 of images [N, D] over names [C, D] with labels int64 [N]."""
    ranked = (images @ names.T).topk(min(5, len(names)), 1).indices  # [N, <= 5]
    hits = ranked == labels[:, None]
    return float(hits[:, 0].float().mean()), float(hits.any(1).float().mean())


def name_embeddings(by_template: Tensor) -> Tensor:
    """One direction a name from embeddings float [K, C, D] of it in K templates: their mean."""
    return torch.nn.functional.normalize(by_template.mean(0), dim=1)
