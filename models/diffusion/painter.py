"""The painter: text tower, noise network and autoencoder in one network."""

import torch
from torch import Tensor, nn

from models.clip import TextTower
from models.diffusion.autoencoder import Autoencoder, to_image, to_pixels
from models.diffusion.spec import NoiseSpec, PainterSpec
from models.diffusion.unet import UNet
from service.sampling import NoiseSchedule, schedule_of

# Legend: B batch, C latent channels, h w cells of the latent map, T tokens, D width of the text,
# H W pixels.


class Painter(nn.Module):
    """What is trained, and what the exported graphs are cut from."""

    shift: Tensor
    scale: Tensor

    def __init__(self, spec: PainterSpec) -> None:
        super().__init__()
        self.spec = spec
        self.autoencoder = Autoencoder(spec.autoencoder)
        self.text = TextTower(spec.text)
        self.unet = UNet(spec.unet)
        for name in ("shift", "scale"):
            values = torch.tensor(getattr(spec, f"latent_{name}")).view(1, -1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    def forward(self, latents: Tensor, times: Tensor, tokens: Tensor) -> Tensor:
        """Noised latents [B, C, h, w], times float [B], tokens int64 [B, T] -> noise or v."""
        answer: Tensor = self.unet(latents, times, self.text(tokens))
        return answer

    def encode(self, image: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> the mean latents, as the noise network knows them."""
        return (self.autoencoder.encode(to_pixels(image)).mean - self.shift) * self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """Latents as the noise network knows them -> uint8 [B, H, W, 3]."""
        return to_image(self.autoencoder.decode(latents / self.scale + self.shift))


def noise_schedule(spec: NoiseSpec) -> NoiseSchedule:
    """The one that the server makes of the bundle's defaults."""
    return schedule_of(noise_defaults(spec))


def noise_defaults(spec: NoiseSpec) -> dict[str, str | int | float]:
    """What `service.sampling.schedule_of` reads."""
    defaults: dict[str, str | int | float] = {
        "schedule": spec.schedule,
        "train_steps": spec.train_steps,
        "prediction": spec.prediction,
    }
    if spec.schedule != "cosine":
        defaults |= {"beta_start": spec.beta_start, "beta_end": spec.beta_end}
    return defaults
