"""The smooth L1 (Huber) loss: quadratic near zero, straight beyond."""

import torch
from torch import Tensor


def smooth_l1_loss(prediction: Tensor, target: Tensor, *, beta: float = 1.0) -> Tensor:
    """Of each element: d² / (2 beta) where d = |difference| < beta, else d - beta / 2.

    It is Huber's loss divided by beta; beta 0 is plain L1.
    """
    difference = (prediction - target).abs()
    if beta == 0:
        return difference
    return torch.where(difference < beta, difference.square() / (2 * beta), difference - beta / 2)
