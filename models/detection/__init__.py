"""Object detection: boxes with labels and scores, from several families behind one contract."""

from models.detection.checkpoint import load_detector, save_detector
from models.detection.detector import Candidates, Detector, Targets
from models.detection.families import FAMILIES, Family, build_detector
from models.detection.postprocess import Detections, postprocess
from models.detection.spec import DetectorSpec

__all__ = [
    "FAMILIES",
    "Candidates",
    "Detections",
    "Detector",
    "DetectorSpec",
    "Family",
    "Targets",
    "build_detector",
    "load_detector",
    "postprocess",
    "save_detector",
]
