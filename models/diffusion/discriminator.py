"""A patch discriminator: it learns to tell reconstructions from images, patch by patch."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

# Legend: B batch, H W pixels, h w patches.


class PatchDiscriminator(nn.Module):
    """Isola et al. 2017: three strided convolutions, a verdict for every overlapping patch."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for i in range(2):
            inner, outer = width * 2**i, width * 2 ** (i + 1)
            layers += [
                nn.Conv2d(inner, outer, 4, stride=2, padding=1, bias=False),
                nn.GroupNorm(8, outer),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(4 * width, 1, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] -> logits [B, 1, h, w], positive for what looks real."""
        logits: Tensor = self.layers(pixels)
        return logits


def adversarial_losses(
    discriminator: nn.Module, real: Tensor, made: Tensor
) -> tuple[Tensor, Tensor]:
    """The maker's loss and the discriminator's hinge loss (Lim and Ye 2017), for one optimiser.

    The maker's is computed with the discriminator's weights held, and the discriminator's on
    pixels cut off from the maker, so that the gradient of their sum is to each the gradient of its
    own loss.
    """
    held = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    fooling = -functional_call(discriminator, held, (made,)).float().mean()
    verdicts = discriminator(torch.cat([real, made.detach()])).float()
    on_real, on_made = verdicts[: len(real)], verdicts[len(real) :]
    telling = 0.5 * (F.relu(1 - on_real).mean() + F.relu(1 + on_made).mean())
    return fooling, telling
