"""What a task is: bytes to tensors, tensors to an answer, and the words that document it."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from service.bundle import BundleError, Fit, Manifest
from service.engine.job import Sample
from service.engine.model import Model
from service.imaging import ImageInfo, ImageLimits, Placement, decode, encode_png, load

Format = Literal["json", "png"]
MEDIA_TYPES: dict[Format, str] = {"json": "application/json", "png": "image/png"}


class ImageOptions(BaseModel):
    """What every task on images takes, in the query or beside the image in the body."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        default=None,
        description="`name` or `name:version`; without it the default model of the task",
        max_length=80,
    )
    format: Format | None = Field(
        default=None, description="The form of the answer, where `Accept` cannot be set"
    )


O = TypeVar("O", bound=ImageOptions)  # noqa: E741  # options
A = TypeVar("A")  # the answer for one image


class ImageTask(abc.ABC, Generic[O, A]):
    """A task of one graph that answers for one image at a time. One instance serves all requests.

    `name` is the task's name in a manifest, the role of its graph, and its path.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    description: ClassVar[str]
    example: ClassVar[dict[str, Any]]
    """One image's answer, for the documentation."""
    options: type[O]
    answer: type[A]
    formats: ClassVar[tuple[Format, ...]] = ("json", "png")

    @abc.abstractmethod
    def check(self, manifest: Manifest) -> None:
        """BundleError unless this task can be done with that bundle."""

    @abc.abstractmethod
    def read(self, manifest: Manifest, outputs: Sample, options: O, seen: Seen) -> A:
        """The graph's outputs for one image, as an answer about the image that was sent."""

    @abc.abstractmethod
    def draw(self, image: NDArray[np.uint8], answer: A) -> NDArray[np.uint8]:
        """The answer drawn on the image [H, W, 3]."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the image on its way into the graph."""

    info: ImageInfo
    placement: Placement


class ImageCall(Generic[O, A]):
    """One image on its way through a task; its methods are those of a job."""

    __slots__ = ("_data", "_fit", "_form", "_limits", "_manifest", "_options", "_seen", "_task")

    def __init__(
        self,
        task: ImageTask[O, A],
        model: Model,
        data: bytes | memoryview,
        options: O,
        form: Format,
        limits: ImageLimits,
    ) -> None:
        self._task = task
        self._manifest = model.bundle.manifest
        self._fit = fit_of(self._manifest)
        self._data = data
        self._options = options
        self._form = form
        self._limits = limits

    def prepare(self) -> Sample:
        pixels, placement, info = load(self._data, self._limits, self._fit)
        self._seen = Seen(info, placement)
        return {"image": pixels}

    def finish(self, outputs: Sample) -> A | bytes:
        """The typed answer, or the picture of it as PNG."""
        answer = self._task.read(self._manifest, outputs, self._options, self._seen)
        if self._form == "json":
            return answer
        return encode_png(self._task.draw(decode(self._data, self._limits).pixels, answer))


def fit_of(manifest: Manifest) -> Fit:
    if manifest.fit is None:
        raise BundleError("a task on images needs `fit` in the manifest")
    return manifest.fit


def check_image_graph(
    manifest: Manifest, role: str, outputs: dict[str, tuple[int | str, ...]]
) -> None:
    """BundleError unless graph `role` takes the fitted image and gives outputs of these shapes."""
    fit = fit_of(manifest)
    if role not in manifest.graphs:
        raise BundleError(f"the task needs a graph {role!r}; there is {', '.join(manifest.graphs)}")
    graph = manifest.graphs[role]
    image = ("batch", fit.height, fit.width, 3)
    if [(t.name, t.dtype, t.shape) for t in graph.inputs] != [("image", "uint8", image)]:
        raise BundleError(f"graph {role!r} must take one input, image uint8 {list(image)}")
    given = {t.name: t.shape for t in graph.outputs}
    for name, shape in outputs.items():
        if given.get(name) != shape:
            raise BundleError(f"graph {role!r} must give {name} {list(shape)}")
