"""Depth from one image, learnt from stereo pairs."""

from models.depth.checkpoint import load_depth, save_depth
from models.depth.network import DepthNetwork
from models.depth.spec import DepthSpec

__all__ = ["DepthNetwork", "DepthSpec", "load_depth", "save_depth"]
