"""A recipe for a painter: the networks, the pictures, the training."""

from dataclasses import dataclass, field

from models.clip import TextSpec
from models.diffusion.autoencoder_recipe import PictureData
from models.diffusion.spec import NoiseSpec, UNetSpec
from models.training.plain import RecipeError
from models.training.recipe import TrainingSpec


@dataclass(frozen=True)
class PainterRecipe:
    """Everything that decides what comes out.

    `autoencoder` is the folder of a trained one, which stays as it is. The text tower is trained
    along, from scratch or, with `text_from`, from a CLIP checkpoint, whose tokenizer is then used
    and whose shape `text` is; `tokenizer` is the name of one that comes with the package.
    `unconditional` is the share of samples that train without their caption, for guidance.
    `min_snr` caps the weight of little-noised samples (Hang et al. 2023); 0 weighs all alike.
    `logit_mean` has the logits of times normal with this mean, instead of all times alike: a little
    above 0 where outlines are decided, at more noise than signal.
    `foreground` is the weight of cells that show a thing, where no noise is left; with the signal
    it falls to the 1 of all others, so that where things are stays as likely as it is.
    With `scales` above 1 the error counts again on maps that are averaged over 2 x 2 cells, 4 x 4
    and so on (Hoogeboom et al. 2023, section 3.2): outlines matter more, textures less, and the
    best answer stays the same.
    `only` is a regular expression: training leaves out the captions in which nothing matches it, to
    learn a hard part by itself.
    `start_from` is a checkpoint of the same networks. Latents are kept under `latents`, or the
    user's cache.
    """

    name: str
    unet: UNetSpec
    autoencoder: str
    data: PictureData
    training: TrainingSpec
    noise: NoiseSpec = field(default_factory=NoiseSpec)
    text: TextSpec | None = None
    text_from: str | None = None
    tokenizer: str = "tabletop"
    unconditional: float = 0.1
    min_snr: float = 0.0
    logit_mean: float | None = None
    foreground: float = 1.0
    scales: int = 1
    only: str = ""
    start_from: str | None = None
    latents: str | None = None

    def __post_init__(self) -> None:
        if (self.text is None) == (self.text_from is None):
            raise RecipeError("give exactly one of `text` and `text_from`")
        if not 0 <= self.unconditional < 1:
            raise ValueError(f"unconditional must be in [0, 1), got {self.unconditional}")
        if self.min_snr < 0 or min(self.foreground, self.scales) < 1:
            raise ValueError("min_snr cannot be negative, foreground and scales not below 1")
