"""A recipe for a CLIP: towers, tokenizer, data, what becomes of texts, training."""

from dataclasses import dataclass, field
from pathlib import Path

from models.classification.augment import NO_AUGMENT, AugmentSpec
from models.classification.spec import Fit
from models.clip.contrasts import ContrastSpec
from models.clip.spec import CLIP_MEAN, CLIP_STD, ClipSpec, ImageSpec, TextSpec
from models.training.recipe import TrainingSpec, find_file


@dataclass(frozen=True)
class TextTowerSpec:
    """The text tower but for what its tokenizer knows. See `TextSpec`."""

    dim: int = 128
    layers: int = 4
    heads: int = 4
    length: int = 32


@dataclass(frozen=True)
class NetworkSpec:
    """A CLIP but for its vocabulary. See `ClipSpec`."""

    image: ImageSpec
    text: TextTowerSpec = field(default_factory=TextTowerSpec)
    embed_dim: int = 128
    input_size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    fit: Fit = "crop"
    template: str = "a photo of a {}"
    initial_temperature: float = 0.07

    def with_vocabulary(self, size: int, bos_id: int, eos_id: int) -> ClipSpec:
        text = TextSpec(vocabulary=size, bos_id=bos_id, eos_id=eos_id, **vars(self.text))
        return ClipSpec(**{**vars(self), "text": text})


@dataclass(frozen=True)
class TokenizerSpec:
    """A tokenizer that comes with the package, a tokenizer.json, or one learnt from the captions.

    `vocabulary` is the most ids that a learnt one may have.
    """

    shipped: str | None = None
    file: str | None = None
    vocabulary: int = 8192

    def __post_init__(self) -> None:
        if self.shipped is not None and self.file is not None:
            raise ValueError("give at most one of `shipped` and `file`")


@dataclass(frozen=True)
class WorldScenes:
    """Scenes of the tabletop world with their captions."""

    train: int = 24_576
    val: int = 512
    test: int = 2_048
    objects: int = 3
    size_px: int = 128


@dataclass(frozen=True)
class WorldCloseUps:
    """Close-ups of single objects, named in the ways of `templates`; val and test are zero-shot."""

    train: int = 24_576
    val: int = 512
    test: int = 2_000
    size_px: int = 64
    templates: tuple[str, ...] = ("a photo of a {}", "a {}", "one {}")


@dataclass(frozen=True)
class WorldData:
    """The tabletop world, rendered once and kept on disk."""

    scenes: WorldScenes = field(default_factory=WorldScenes)
    close_ups: WorldCloseUps | None = field(default_factory=WorldCloseUps)
    seed: int = 0
    root: str | None = None
    workers: int = 1


@dataclass(frozen=True)
class PairsData:
    """Images with texts of one's own: see `models.data.captioned_folder.open_captioned`."""

    root: str


@dataclass(frozen=True)
class DataSpec:
    """One source of images with texts."""

    world: WorldData | None = None
    pairs: PairsData | None = None

    def __post_init__(self) -> None:
        if (self.world is None) == (self.pairs is None):
            raise ValueError("give exactly one of `world` and `pairs`")


@dataclass(frozen=True)
class WordingSpec:
    """What may become of a text in training.

    With probability `prefixed` one of `prefixes` stands before it, if it is its image's only one.
    With probability `mirrored` the image is mirrored, and the words of each of `sides` exchanged.
    `contrasts` make the false texts that are every image's further negatives.
    """

    prefixes: tuple[str, ...] = ()
    prefixed: float = 0.0
    mirrored: float = 0.0
    sides: tuple[tuple[str, str], ...] = ()
    contrasts: ContrastSpec = field(default_factory=ContrastSpec)

    def __post_init__(self) -> None:
        if not 0 <= self.prefixed <= 1 or not 0 <= self.mirrored <= 1:
            raise ValueError(f"prefixed and mirrored are probabilities, got {self}")
        if self.prefixed and not self.prefixes:
            raise ValueError("there are no prefixes to put before a text")


@dataclass(frozen=True)
class ClipRecipe:
    """Everything that decides what comes out, but for the machine and the time it is given.

    `start_from` is a checkpoint of the same network.
    """

    name: str
    network: NetworkSpec
    data: DataSpec
    training: TrainingSpec
    tokenizer: TokenizerSpec = field(default_factory=TokenizerSpec)
    augment: AugmentSpec = NO_AUGMENT
    wording: WordingSpec = field(default_factory=WordingSpec)
    start_from: str | None = None

    def __post_init__(self) -> None:
        if self.augment.flip:
            raise ValueError("say wording.mirrored, not augment.flip: texts must turn with images")


def find_recipe(name_or_path: str) -> Path:
    """A recipe's file: a path, or the name of one that comes with the package."""
    return find_file(name_or_path, Path(__file__).parent / "recipes")
