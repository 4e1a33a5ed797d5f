"""From the pixels of an image to what a network was taught on, inside the graph."""

import torch
from torch import Tensor, nn

# Legend: B batch, H W pixels.

RGB = tuple[float, float, float]

#: Means and deviations of ImageNet's RGB in [0, 1], which published weights expect.
IMAGENET_MEAN: RGB = (0.485, 0.456, 0.406)
IMAGENET_STD: RGB = (0.229, 0.224, 0.225)


class Normalisation(nn.Module):
    """uint8 RGB [B, H, W, 3] -> float [B, 3, H, W], less `mean`, over `std`, both of RGB in [0, 1].

    They are buffers outside the state dict: a network's spec holds them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: RGB, std: RGB) -> None:
        super().__init__()
        if min(std) <= 0:
            raise ValueError(f"std must be positive, got {std}")
        channel = (1, 3, 1, 1)
        self.register_buffer("mean", torch.tensor(mean).view(channel) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std).view(channel) * 255, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        pixels = image.permute(0, 3, 1, 2).to(self.mean.dtype)  # [B, 3, H, W]
        return (pixels - self.mean) / self.std
