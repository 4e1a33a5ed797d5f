"""Cameras, stereo and warping: the geometry that depth is learnt from and measured with."""

from models.geometry.camera import Camera, back_project, project
from models.geometry.stereo import depth_from_disparity, disparity_from_depth
from models.geometry.warping import sample_at, shift_columns

__all__ = [
    "Camera",
    "back_project",
    "depth_from_disparity",
    "disparity_from_depth",
    "project",
    "sample_at",
    "shift_columns",
]
