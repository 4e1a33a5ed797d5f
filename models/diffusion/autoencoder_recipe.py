"""A recipe for an autoencoder: the network, the pictures, the loss, the training."""

from dataclasses import dataclass, field

from models.diffusion.spec import AutoencoderSpec
from models.training.recipe import TrainingSpec


@dataclass(frozen=True)
class WorldPictures:
    """Captioned pictures of the tabletop world, rendered once and kept on disk.

    In a `still_life` things stand near, and so large.
    """

    train: int = 24_576
    val: int = 512
    test: int = 2_048
    size_px: int = 128
    objects: int = 3
    still_life: bool = False
    supersample: int = 2
    seed: int = 0
    root: str | None = None
    workers: int = 1


@dataclass(frozen=True)
class FolderPictures:
    """Pictures and their captions: see `models.diffusion.data.CaptionedFolder`."""

    root: str
    size_px: int = 256


@dataclass(frozen=True)
class PictureData:
    """One source of captioned pictures."""

    world: WorldPictures | None = None
    folder: FolderPictures | None = None

    def __post_init__(self) -> None:
        if (self.world is None) == (self.folder is None):
            raise ValueError("give exactly one of `world` and `folder`")


@dataclass(frozen=True)
class AutoencoderLossSpec:
    """L1 + `perceptual` x distance in a classifier's features + `divergence` x KL.

    `classifier` is the folder of its checkpoint; without one there is no perceptual part. The
    divergence counts per latent number. `adversarial` above 0 adds a patch discriminator of
    `discriminator_width` channels.
    """

    perceptual: float = 0.2
    classifier: str | None = None
    divergence: float = 1e-4
    adversarial: float = 0.0
    discriminator_width: int = 32

    def __post_init__(self) -> None:
        if min(self.perceptual, self.divergence, self.adversarial) < 0:
            raise ValueError(f"weights cannot be negative, got {self}")


@dataclass(frozen=True)
class AutoencoderRecipe:
    """Everything that decides what comes out.

    Training sees random square crops of `crop_px`, or whole pictures. From the checkpoint
    `start_from` it takes every tensor that fits, so that the latent channels may be others.
    """

    name: str
    network: AutoencoderSpec
    data: PictureData
    training: TrainingSpec
    loss: AutoencoderLossSpec = field(default_factory=AutoencoderLossSpec)
    crop_px: int | None = None
    start_from: str | None = None

    def __post_init__(self) -> None:
        if self.crop_px is not None and self.crop_px % self.network.stride:
            raise ValueError(f"crop_px {self.crop_px} must divide by {self.network.stride}")
