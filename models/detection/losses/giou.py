"""The generalised IoU loss: how far two boxes are from being the same."""

from torch import Tensor

from models.detection.boxes import aligned_giou


def giou_loss(prediction_xyxy: Tensor, target_xyxy: Tensor) -> Tensor:
    """1 - GIoU of each pair of boxes: [..., 4] and [..., 4] -> [...] in [0, 2]."""
    return 1 - aligned_giou(prediction_xyxy, target_xyxy)
