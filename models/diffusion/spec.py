"""What a painter is made of: frozen descriptions that are stored beside the weights."""

from dataclasses import dataclass, field

from models.clip import TextSpec
from service.sampling.schedule import Prediction, ScheduleName


@dataclass(frozen=True, kw_only=True)
class AutoencoderSpec:
    """A KL autoencoder from RGB to a small latent map and back.

    An image is first folded into patches of `patch` x `patch` pixels; `channels` are those of each
    level from there on, each half as fine as the one before. Stable Diffusion's has no patches and
    four levels. `blocks` residual blocks stand on a level of the encoder, one more in the decoder.
    """

    latent_channels: int = 4
    channels: tuple[int, ...] = (128, 256, 512, 512)
    blocks: int = 2
    groups: int = 32
    patch: int = 1
    attention: bool = True

    def __post_init__(self) -> None:
        if not self.channels or any(c < 1 or c % self.groups for c in self.channels):
            raise ValueError(f"channels {self.channels} must divide by {self.groups} groups")
        if min(self.latent_channels, self.blocks, self.patch) < 1:
            raise ValueError(f"counts must be positive, got {self}")

    @property
    def stride(self) -> int:
        """How many pixels lie along the side of one cell of the latent map."""
        return self.patch << (len(self.channels) - 1)


@dataclass(frozen=True, kw_only=True)
class UNetSpec:
    """The noise network: residual blocks on levels of halving resolution, text read by attention.

    `channels` are those of each level, fine to coarse; `attention` says which levels attend to
    themselves and to the text (the middle always does); `blocks` stand on a level on the way down,
    one more on the way up. With `pooled`, the mean of the text is added to what every block hears
    of the time, so that those without attention hear of the text too. Stable Diffusion 1.x has
    channels (320, 640, 1280, 1280), attention on the first three, two blocks, 8 heads and a context
    768 wide.
    """

    latent_channels: int = 4
    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    attention: tuple[bool, ...] = (True, True, True, False)
    blocks: int = 2
    heads: int = 8
    context: int = 768
    groups: int = 32
    pooled: bool = False

    def __post_init__(self) -> None:
        if len(self.attention) != len(self.channels):
            raise ValueError(f"{self.attention} does not say it for each of {self.channels}")
        if not self.channels or any(c < 1 or c % self.groups or c % self.heads or c % 2
                                    for c in self.channels):  # fmt: skip
            raise ValueError(
                f"channels {self.channels} must divide by 2, {self.groups} groups and "
                f"{self.heads} heads"
            )
        if min(self.latent_channels, self.blocks, self.context) < 1:
            raise ValueError(f"counts must be positive, got {self}")


@dataclass(frozen=True, kw_only=True)
class NoiseSpec:
    """How images are noised, and what the network says of noised ones.

    `beta_start` and `beta_end` are those of the two linear schedules.
    """

    schedule: ScheduleName = "cosine"
    train_steps: int = 1000
    beta_start: float = 0.00085
    beta_end: float = 0.012
    prediction: Prediction = "v"


@dataclass(frozen=True, kw_only=True)
class PainterSpec:
    """Text tower, noise network and autoencoder, and how they fit together.

    The noise network sees (latents - `latent_shift`) x `latent_scale`, one number for all channels
    or one for each, so that they have mean 0 and deviation 1.
    """

    autoencoder: AutoencoderSpec
    unet: UNetSpec
    text: TextSpec
    noise: NoiseSpec = field(default_factory=NoiseSpec)
    image_size: tuple[int, int] = (512, 512)
    latent_shift: tuple[float, ...] = (0.0,)
    latent_scale: tuple[float, ...] = (0.18215,)

    def __post_init__(self) -> None:
        channels = self.autoencoder.latent_channels
        if self.unet.latent_channels != channels:
            raise ValueError(f"{self.unet.latent_channels} latent channels do not fit {channels}")
        if self.unet.context != self.text.dim:
            raise ValueError(
                f"a context of {self.unet.context} does not fit a text {self.text.dim} wide"
            )
        for name in ("latent_shift", "latent_scale"):
            if len(getattr(self, name)) not in (1, channels):
                raise ValueError(f"{name} must have 1 or {channels} numbers")
        multiple = self.autoencoder.stride << (len(self.unet.channels) - 1)
        if any(side < 1 or side % multiple for side in self.image_size):
            raise ValueError(f"the sides must divide by {multiple}, got {self.image_size}")

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the map that is painted."""
        height, width = self.image_size
        stride = self.autoencoder.stride
        return self.autoencoder.latent_channels, height // stride, width // stride
