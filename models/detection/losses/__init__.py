"""The losses of detection, one a file, as pure functions of tensors."""

from models.detection.losses.focal import sigmoid_focal_loss
from models.detection.losses.giou import giou_loss
from models.detection.losses.heatmap_focal import heatmap_focal_loss
from models.detection.losses.smooth_l1 import smooth_l1_loss

__all__ = ["giou_loss", "heatmap_focal_loss", "sigmoid_focal_loss", "smooth_l1_loss"]
