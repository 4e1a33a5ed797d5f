"""Panoptic segmentation: every pixel belongs to a segment with a label, from a Mask2Former."""

from models.segmentation.checkpoint import load_segmenter, save_segmenter
from models.segmentation.network import Segmenter
from models.segmentation.spec import SegmenterSpec

__all__ = ["Segmenter", "SegmenterSpec", "load_segmenter", "save_segmenter"]
