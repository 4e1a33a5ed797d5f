"""The autoencoder as the trainer sees it."""

from typing import Any

import torch
from torch import Tensor, nn

from models.diffusion.autoencoder import Autoencoder, Gaussian, to_image, to_pixels
from models.diffusion.autoencoder_recipe import AutoencoderRecipe
from models.diffusion.checkpoint import describe_autoencoder
from models.diffusion.data import CaptionedPictures, PictureCrops, open_pictures
from models.diffusion.discriminator import PatchDiscriminator, adversarial_losses
from models.diffusion.perceptual import PerceptualDistance
from models.diffusion.spec import AutoencoderSpec
from models.training.starting import start_from
from models.training.task import Goal, Place

# Legend: B batch, S side of a picture in pixels.

EVALUATION_BATCH = 8
_DISCRIMINATOR = "discriminator."


class LearningAutoencoder(Autoencoder):
    """An autoencoder that sees images, and the discriminator that only training knows."""

    def __init__(self, spec: AutoencoderSpec, discriminator_width: int = 0) -> None:
        super().__init__(spec)
        width = discriminator_width
        self.discriminator = PatchDiscriminator(width) if width else None

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Gaussian]:
        """uint8 [B, S, S, 3] -> its pixels and those made of it [B, 3, S, S], its latents.

        Latents are sampled in training mode; in evaluation mode their mean is decoded.
        """
        pixels = to_pixels(image)
        latents = self.encode(pixels)
        made = self.decode(latents.sample() if self.training else latents.mean)
        return pixels, made, latents


class AutoencoderTask:
    """L1, perceptual distance, divergence and, if asked for, an adversary."""

    def __init__(
        self, recipe: AutoencoderRecipe, train: CaptionedPictures, validation: CaptionedPictures
    ) -> None:
        loss = recipe.loss
        torch.manual_seed(recipe.training.seed)
        self.recipe = recipe
        width = loss.discriminator_width if loss.adversarial else 0
        self.network = LearningAutoencoder(recipe.network, width)
        if recipe.start_from is not None:
            start_from(self.network, recipe.start_from)
        self.data = PictureCrops(
            train,
            crop_px=recipe.crop_px,
            batch_size=recipe.training.batch_size,
            seed=recipe.training.seed,
        )
        self.goal = Goal("psnr", "max")
        self._validation = validation
        wanted = loss.classifier is not None and loss.perceptual > 0
        self._look = PerceptualDistance.from_checkpoint(str(loss.classifier)) if wanted else None

    @classmethod
    def from_recipe(cls, recipe: AutoencoderRecipe, *, progress: bool) -> "AutoencoderTask":
        train = open_pictures(recipe.data, "train", progress=progress)
        return cls(recipe, train, open_pictures(recipe.data, "val", progress=progress))

    def loss(self, network: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        spec = self.recipe.loss
        pixels, made, latents = network(batch)
        numbers = latents.mean[0].numel()
        figures = {
            "l1": (made.float() - pixels).abs().mean(),
            "divergence": latents.divergence().mean() / numbers,
        }
        total = figures["l1"] + spec.divergence * figures["divergence"]
        if self._look is not None:
            figures["perceptual"] = self._look(made, pixels)
            total = total + spec.perceptual * figures["perceptual"]
        if spec.adversarial:
            assert self.network.discriminator is not None
            fooling, telling = adversarial_losses(self.network.discriminator, pixels, made)
            figures |= {"fooling": fooling, "telling": telling}
            total = total + spec.adversarial * fooling + telling
        return {"loss": total, **figures}

    def evaluate(self, network: nn.Module, place: Place) -> dict[str, float]:
        """`psnr`: of the mean's reconstruction, in dB, averaged over the images."""
        sums = torch.zeros(3, dtype=torch.float64, device=place.device)
        numbers = torch.arange(len(self._validation))[place.share.of(len(self._validation))]
        for indices in torch.split(numbers, EVALUATION_BATCH):
            image = self._validation.read(indices).to(place.device)
            pixels, made, _ = network(image)
            ratios = signal_to_noise(to_image(made), image)  # [B]
            l1 = (made.float() - pixels).abs().mean((1, 2, 3))
            sums += torch.stack([ratios.sum(), l1.sum(), torch.tensor(float(len(indices)))])
        total, l1_total, count = place.total(sums).tolist()
        return {"psnr": total / count, "l1": l1_total / count}

    def checkpoint(self) -> dict[str, Any]:
        return describe_autoencoder(self.network.spec)

    def is_kept(self, name: str) -> bool:
        return not name.startswith(_DISCRIMINATOR)


def signal_to_noise(image: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each image, both uint8 [B, ...] -> [B]."""
    error = (image.double() - truth.double()).square().flatten(1).mean(1)
    return 10 * torch.log10(255**2 / error.clamp_min(1e-3))
