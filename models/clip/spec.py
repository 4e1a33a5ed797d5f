"""What a CLIP is: the frozen description of both towers that is stored beside their weights."""

from dataclasses import dataclass
from typing import Literal

from models.backbones.spec import BackboneSpec
from models.classification.spec import Fit

Activation = Literal["gelu", "quick_gelu"]

#: How an image's feature map becomes one vector. `token`: the backbone's own class token (a ViT).
#: `mean`: the mean of the cells. `attention`: as in CLIP's ResNet, the mean asks all cells.
#: `encoder`: a class token and the cells go through transformer layers of their own.
Pooling = Literal["token", "mean", "attention", "encoder"]

#: OpenAI's means and deviations of RGB in [0, 1], which published CLIPs expect.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, kw_only=True)
class TextSpec:
    """A causal transformer over `length` token ids; what it says of a text stands at `eos_id`."""

    vocabulary: int
    length: int = 32
    dim: int = 128
    layers: int = 4
    heads: int = 4
    mlp_ratio: float = 4.0
    activation: Activation = "gelu"
    bos_id: int = 0
    eos_id: int = 1

    def __post_init__(self) -> None:
        if min(self.vocabulary, self.dim, self.layers, self.heads) < 1 or self.length < 3:
            raise ValueError(f"sizes must be positive, and a text 3 tokens or longer: {self}")
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} does not divide into {self.heads} heads")
        if not 0 <= self.bos_id < self.vocabulary or not 0 <= self.eos_id < self.vocabulary:
            raise ValueError(f"no ids {self.bos_id} and {self.eos_id} among {self.vocabulary}")
        if self.bos_id == self.eos_id:
            raise ValueError(f"a text cannot begin and end with the same token {self.bos_id}")


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """A timm network and how its features are pooled.

    `stride` chooses the feature map of a CNN that is pooled (None: its last); `heads` divide the
    width of the attention, and `layers` counts those of `encoder`, at a width of `dim`.
    """

    backbone: BackboneSpec
    pooling: Pooling = "token"
    stride: int | None = None
    dim: int = 128
    heads: int = 4
    layers: int = 2

    def __post_init__(self) -> None:
        if min(self.dim, self.heads, self.layers) < 1:
            raise ValueError(f"sizes must be positive, got {self}")
        if self.pooling == "encoder" and self.dim % self.heads:
            raise ValueError(f"dim {self.dim} does not divide into {self.heads} heads")
        if self.pooling == "token" and self.stride is not None:
            raise ValueError("a network with a class token of its own has no map to choose")


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """Both towers, and the space of `embed_dim` dimensions in which they meet.

    `input_size` is (height, width) in pixels; `mean` and `std` apply to RGB in [0, 1]. `template`
    makes a text of a name. `initial_temperature` is where training starts: logits are cosines
    divided by the temperature.
    """

    image: ImageSpec
    text: TextSpec
    embed_dim: int = 128
    input_size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = CLIP_MEAN
    std: tuple[float, float, float] = CLIP_STD
    fit: Fit = "crop"
    template: str = "a photo of a {}"
    initial_temperature: float = 0.07

    def __post_init__(self) -> None:
        if self.embed_dim < 1 or min(self.input_size) < 1 or min(self.std) <= 0:
            raise ValueError(f"sizes and std must be positive, got {self}")
        if self.template.count("{}") != 1:
            raise ValueError(f"a template has one {{}} for the name, not {self.template!r}")
        if not 0.01 <= self.initial_temperature <= 10:
            raise ValueError(f"no temperature in [0.01, 10]: {self.initial_temperature}")
