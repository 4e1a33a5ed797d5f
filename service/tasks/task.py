"""What a task is: bytes to tensors, tensors to an answer, and the words that document it."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from service.bundle import BundleError, Fit, Manifest, TensorSpec
from service.engine.job import Sample
from service.engine.model import Model
from service.imaging import ImageInfo, ImageLimits, Placement, decode, encode_png, load
from service.tasks.form import JSON, PNG, Form


class ImageOptions(BaseModel):
    """What every task on images takes, in the query or beside the image in the body."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        default=None,
        description="`name` or `name:version`; without it the default model of the task",
        max_length=80,
    )
    format: str | None = Field(
        default=None, description="The form of the answer, where `Accept` cannot be set"
    )
    """The name of one of the task's forms: see `ImageTask.forms`."""


O = TypeVar("O", bound=ImageOptions)  # noqa: E741  # options
A = TypeVar("A")  # what is known of one image


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
    answer: type[Any]
    """What `tell` gives, for the documentation."""
    forms: ClassVar[tuple[Form, ...]] = (JSON, PNG)
    """JSON, which is the typed answer itself, and what `write` and `join` make of it."""

    @abc.abstractmethod
    def check(self, manifest: Manifest) -> None:
        """BundleError unless this task can be done with that bundle."""

    def inputs(self, manifest: Manifest, options: O) -> Sample:
        """What the graph takes beside the image; an error here is the whole request's."""
        return {}

    def looks_twice(self, options: O) -> bool:
        """Whether the graph is to see the image a second time, its left and right exchanged."""
        return False

    def combine(self, outputs: Sample, mirrored: Sample, seen: Seen) -> Sample:
        """One answer of two; the outputs for the mirrored image are still mirrored."""
        raise NotImplementedError(f"/{self.name} looks twice and does not combine")

    @abc.abstractmethod
    def read(self, manifest: Manifest, outputs: Sample, options: O, seen: Seen) -> A:
        """The graph's outputs for one image, as an answer about the image that was sent."""

    def tell(self, answer: A) -> Any:
        """What JSON says of the answer: all of it, where it is not too large for that."""
        return answer

    @abc.abstractmethod
    def draw(
        self, manifest: Manifest, image: NDArray[np.uint8], answer: A, options: O
    ) -> NDArray[np.uint8]:
        """The answer drawn on the image [H, W, 3]."""

    def write(
        self,
        form: Form,
        manifest: Manifest,
        image: Callable[[], NDArray[np.uint8]],
        answer: A,
        options: O,
    ) -> Any:
        """One image's part of a document that is not JSON; `image` decodes what was sent."""
        if form is not PNG:
            raise NotImplementedError(f"/{self.name} offers {form.name} and does not write it")
        return encode_png(self.draw(manifest, image(), answer, options))

    def join(self, form: Form, parts: Sequence[Any]) -> bytes:
        """The document, of what `write` made of every image."""
        (only,) = parts
        return bytes(only)

    def headers(self, form: Form, parts: Sequence[Any]) -> Mapping[str, str]:
        """What the document cannot say of itself; `parts` as in `join`, names in small letters."""
        return {}


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the image on its way into the graph."""

    info: ImageInfo
    placement: Placement


class ImageCall(Generic[O, A]):
    """One image on its way through a task; its methods are those of a job."""

    __slots__ = (
        *("_data", "_first", "_fit", "_form", "_inputs", "_limits", "_manifest", "_options"),
        *("_pixels", "_seen", "_task", "steps"),
    )

    def __init__(
        self,
        task: ImageTask[O, A],
        model: Model,
        data: bytes | memoryview,
        options: O,
        form: Form,
        limits: ImageLimits,
    ) -> None:
        self._task = task
        self._manifest = model.bundle.manifest
        self._fit = fit_of(self._manifest)
        self._data = data
        self._options = options
        self._inputs = task.inputs(self._manifest, options)
        self._form = form
        self._limits = limits
        self.steps = 2 if task.looks_twice(options) else 1

    def prepare(self) -> Sample:
        pixels, placement, info = load(self._data, self._limits, self._fit)
        self._seen = Seen(info, placement)
        if self.steps > 1:
            self._pixels = pixels
        return {"image": pixels, **self._inputs}

    def advance(self, outputs: Sample, step: int) -> Sample:
        """The inputs of the second look."""
        self._first = outputs
        return {"image": np.ascontiguousarray(self._pixels[:, ::-1]), **self._inputs}

    def finish(self, outputs: Sample) -> Any:
        """The typed answer, or what another form makes of it."""
        if self.steps > 1:
            outputs = self._task.combine(self._first, outputs, self._seen)
        answer = self._task.read(self._manifest, outputs, self._options, self._seen)
        if self._form is JSON:
            return self._task.tell(answer)
        return self._task.write(
            self._form,
            self._manifest,
            lambda: decode(self._data, self._limits).pixels,
            answer,
            self._options,
        )


def fit_of(manifest: Manifest) -> Fit:
    if manifest.fit is None:
        raise BundleError("a task on images needs `fit` in the manifest")
    return manifest.fit


def check_image_graph(
    manifest: Manifest,
    role: str,
    outputs: Mapping[str, tuple[int | str, ...]],
    inputs: Sequence[TensorSpec] = (),
) -> None:
    """BundleError unless graph `role` takes the fitted image and `inputs` beside it, and gives
    outputs of these shapes."""
    fit = fit_of(manifest)
    if role not in manifest.graphs:
        raise BundleError(f"the task needs a graph {role!r}; there is {', '.join(manifest.graphs)}")
    graph = manifest.graphs[role]
    image = TensorSpec(name="image", dtype="uint8", shape=("batch", fit.height, fit.width, 3))
    wanted = (image, *inputs)
    if sorted(graph.inputs, key=lambda t: t.name) != sorted(wanted, key=lambda t: t.name):
        listed = ", ".join(f"{t.name} {t.dtype} {list(t.shape)}" for t in wanted)
        raise BundleError(f"graph {role!r} must take {listed}")
    given = {t.name: t.shape for t in graph.outputs}
    for name, shape in outputs.items():
        if given.get(name) != shape:
            raise BundleError(f"graph {role!r} must give {name} {list(shape)}")
