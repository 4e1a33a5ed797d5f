"""/classify: what is in the image, as the labels of a fixed set with their probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from service.bundle import BundleError, Manifest
from service.engine.job import Sample
from service.imaging import draw_labels
from service.tasks.lists import Names, Texts
from service.tasks.task import ImageOptions, ImageTask, Seen, check_image_graph

DEFAULT_TOP_K = 5


class ClassifyOptions(ImageOptions):
    top_k: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="How many labels, the likeliest first; of `labels` all, where it is not said",
    )
    labels: Names | None = Field(
        default=None,
        description="Words of yours to choose from, instead of a classifier's own: separated by "
        "commas, or the option repeated. The model is then one of the task `embed`",
    )
    template: Texts | None = Field(
        default=None,
        description="The text that is read of each of `labels`, {} standing for it, such as "
        "`a photo of a {}`; without it the model's own. Of several the vectors are averaged",
    )
    templates: Texts | None = Field(default=None, description="More of the same")


@dataclass(slots=True)
class Prediction:
    label: Annotated[str, Field(description="The label's name")]
    index: Annotated[
        int, Field(description="Its place among the model's labels, or among those of the request")
    ]
    score: Annotated[float, Field(ge=0.0, le=1.0, description="Its probability")]


@dataclass(slots=True)
class Classification:
    """The likeliest labels of one image. Width and height are the image's as sent, upright."""

    width: int
    height: int
    predictions: list[Prediction]


class Classify(ImageTask[ClassifyOptions, Classification]):
    name = "classify"
    summary = "Name what is in an image"
    description = (
        "Answers with the likeliest labels of the model, or with those of `labels`, by a model of "
        "images and texts. With `Accept: image/png` the answer is drawn on the image."
    )
    example: ClassVar[dict[str, Any]] = {
        "width": 640,
        "height": 480,
        "predictions": [{"label": "red ball", "index": 0, "score": 0.9971}],
    }
    options = ClassifyOptions
    answer = Classification

    def check(self, manifest: Manifest) -> None:
        if not manifest.labels:
            raise BundleError("a classifier needs labels")
        check_image_graph(manifest, self.name, {"probabilities": ("batch", len(manifest.labels))})

    def read(
        self, manifest: Manifest, outputs: Sample, options: ClassifyOptions, seen: Seen
    ) -> Classification:
        scores = outputs["probabilities"].astype(np.float32, copy=False)  # [C]
        top_k = options.top_k or int(manifest.defaults.get("top_k", DEFAULT_TOP_K))
        return rank(lambda i: manifest.labels[i].name, scores, top_k, seen)

    def draw(
        self,
        manifest: Manifest,
        image: NDArray[np.uint8],
        answer: Classification,
        options: ClassifyOptions,
    ) -> NDArray[np.uint8]:
        return draw_labels(image, [(p.label, p.score) for p in answer.predictions])


def rank(
    name: Callable[[int], str], scores: NDArray[np.floating[Any]], top_k: int, seen: Seen
) -> Classification:
    """The `top_k` likeliest; of equals the one that comes first."""
    best: list[int] = np.argsort(-scores, kind="stable")[:top_k].tolist()
    return Classification(
        width=seen.info.width_px,
        height=seen.info.height_px,
        predictions=[Prediction(name(i), i, round(float(scores[i]), 6)) for i in best],
    )
