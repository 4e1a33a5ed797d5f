"""The penalty-reduced focal loss: near misses of a centre cost less than far ones."""

import torch.nn.functional as F
from torch import Tensor


def heatmap_focal_loss(
    logits: Tensor, heatmap: Tensor, *, alpha: float = 2.0, beta: float = 4.0
) -> Tensor:
    """Of each element (Zhou et al. 2019, equation 1); `heatmap` in [0, 1], 1 at centres alone.

    At a centre (1 - p)^alpha * -ln p, elsewhere (1 - heatmap)^beta p^alpha * -ln (1 - p). Divide
    the sum by the number of objects.
    """
    p = logits.sigmoid()
    at_centre = (1 - p) ** alpha * -F.logsigmoid(logits)
    elsewhere = (1 - heatmap) ** beta * p**alpha * -F.logsigmoid(-logits)
    return at_centre.where(heatmap == 1, elsewhere)
