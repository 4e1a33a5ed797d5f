"""What a segmenter is measured by: panoptic quality, mask precision, mean IoU."""

from models.segmentation.measures.panoptic_quality import PanopticQuality

__all__ = ["PanopticQuality"]
