"""/embed: images and texts as vectors in one space, where what means the same lies close.

Two graphs of one bundle, a tower each: an image goes through the one, a text through the other.
D numbers of a vector, whose length is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from service.bundle import BundleError, Manifest
from service.engine.job import Sample
from service.engine.model import Model
from service.imaging import ImageLimits, load
from service.tasks.form import JSON, NPY, Form
from service.tasks.lists import Texts
from service.tasks.task import check_image_graph, fit_of
from service.text.tokenizer import TEXT_ROLE, tokens_of

TASK: Final = "embed"
IMAGE_ROLE: Final = "image"
OUTPUT: Final = "embedding"
BASE64: Final = Form("base64", "application/vnd.panoptes.embeddings.base64+json", holds_many=True)
FORMS: Final = (JSON, BASE64, NPY)
DEFAULT_TEMPLATE: Final = "a photo of a {}"
SLOT: Final = "{}"

Vector = NDArray[np.float32]
Kind = Literal["image", "text"]


class WordsOptions(BaseModel):
    """What every question about images and texts takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        default=None,
        description="`name` or `name:version`; without it the default model of the task `embed`",
        max_length=80,
    )
    text: Texts = Field(
        default=(),
        description="A text, or several by repeating it; they come after those in the body",
    )


class EmbedOptions(WordsOptions):
    format: Literal["json", "base64", "npy"] | None = Field(
        default=None, description="The form of the answer, where `Accept` cannot be set"
    )
    """The name of one of FORMS."""


class RankOptions(WordsOptions):
    top_k: int | None = Field(
        default=None, ge=1, description="How many results at most, the best first"
    )


@dataclass(slots=True)
class Embedding:
    """One image or text as a vector of length 1."""

    kind: Kind
    embedding: Annotated[
        list[float] | str,
        Field(description="Numbers; with `format=base64` little-endian float32 in base64"),
    ]
    truncated: Annotated[
        bool, Field(description="Whether a text went on where the model had no more room")
    ] = False


@dataclass(slots=True)
class Ranked:
    """What was compared with the one that everything is compared with."""

    kind: Kind
    index: Annotated[int, Field(description="Its place among those of its kind, as sent")]
    score: Annotated[float, Field(description="The cosine of the two vectors", ge=-1, le=1)]
    probability: Annotated[
        float,
        Field(description="Of the softmax of the scores, scaled as the model learnt", ge=0, le=1),
    ]
    text: str | None = None
    truncated: bool = False


def check_embedder(manifest: Manifest) -> None:
    """BundleError unless both towers give vectors of one size."""
    tokens_of(manifest)
    given = {t.name: t.shape for t in manifest.graphs[TEXT_ROLE].outputs}
    shape = given.get(OUTPUT, ())
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise BundleError(f"graph {TEXT_ROLE!r} must give {OUTPUT} [batch, D] with D a number")
    check_image_graph(manifest, IMAGE_ROLE, {OUTPUT: shape})
    scale = manifest.defaults.get("logit_scale")
    if isinstance(scale, bool | str | None) or not 0 < scale < math.inf:
        raise BundleError("defaults must have the logit_scale that was learnt, above 0")
    if SLOT not in str(manifest.defaults.get("template", DEFAULT_TEMPLATE)):
        raise BundleError(f"the default template has no {SLOT} for the label")


def dimensions_of(manifest: Manifest) -> int:
    """How many numbers a vector of this model has."""
    size = next(t for t in manifest.graphs[TEXT_ROLE].outputs if t.name == OUTPUT).shape[-1]
    assert isinstance(size, int), "checked when it was loaded"
    return size


def logit_scale_of(manifest: Manifest) -> float:
    return float(manifest.defaults["logit_scale"])


class ImageEmbeddingCall:
    """One image on its way through the image tower; its methods are those of a job."""

    __slots__ = ("_data", "_fit", "_limits")

    def __init__(self, model: Model, data: bytes, limits: ImageLimits) -> None:
        self._fit = fit_of(model.bundle.manifest)
        self._data = data
        self._limits = limits

    def prepare(self) -> Sample:
        return {"image": load(self._data, self._limits, self._fit)[0]}

    def finish(self, outputs: Sample) -> Vector:
        """[D], its own and not a row of the batch."""
        return outputs[OUTPUT].astype(np.float32)


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Over the last axis."""
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=-1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=-1, keepdims=True)
    return shares
