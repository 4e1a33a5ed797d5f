"""What teaches depth without knowing any: two views of one scene must explain each other."""

from models.depth.losses.appearance import appearance
from models.depth.losses.left_right import MonodepthLoss, MonodepthLossSpec
from models.depth.losses.smoothness import smoothness
from models.depth.losses.ssim import ssim

__all__ = ["MonodepthLoss", "MonodepthLossSpec", "appearance", "smoothness", "ssim"]
