"""What a segmenter is measured by: panoptic quality, mask precision, mean IoU."""

from models.segmentation.measures.mask_precision import MaskPrecision
from models.segmentation.measures.mean_iou import MeanIoU
from models.segmentation.measures.panoptic_quality import PanopticQuality
from models.segmentation.measures.together import SegmentMeasures

__all__ = ["MaskPrecision", "MeanIoU", "PanopticQuality", "SegmentMeasures"]
