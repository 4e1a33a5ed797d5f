"""The focal loss: cross entropy that forgets what is easy."""

import torch.nn.functional as F
from torch import Tensor


def sigmoid_focal_loss(
    logits: Tensor, targets: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """alpha_t (1 - p_t)^gamma * -ln p_t of each element (Lin et al. 2017, equation 5).

    `targets` are 0 or 1, of the logits' shape. Divide the sum by the number of positives.
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p = logits.sigmoid()
    p_t = p * targets + (1 - p) * (1 - targets)
    alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
    return alpha_t * (1 - p_t) ** gamma * cross_entropy
