"""/detect: where things are in the image, as boxes with labels and scores.

K boxes at most, C labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from service.bundle import BundleError, Manifest, TensorSpec
from service.engine.job import Sample
from service.errors import InvalidOptionError
from service.imaging import draw_boxes
from service.tasks.coco import COCO, FIRST_CATEGORY, join_results
from service.tasks.colour import label_colour
from service.tasks.form import JSON, PNG, Form
from service.tasks.lists import Names
from service.tasks.task import ImageOptions, ImageTask, Seen, check_image_graph

DEFAULT_SCORE_THRESHOLD: Final = 0.3
DEFAULT_IOU_THRESHOLD: Final = 0.5

_NAMES_SHOWN: Final = 40


class DetectOptions(ImageOptions):
    score_threshold: float | None = Field(
        default=None, ge=0.0, le=1.0, description="Leave out what scores no higher"
    )
    iou_threshold: float | None = Field(
        default=None,
        ge=0.0,
        le=1.0,
        description="Of two boxes of one label that overlap by more (intersection over union), "
        "keep the surer",
    )
    max_detections: int | None = Field(
        default=None, ge=1, le=1000, description="How many boxes at most, the surest first"
    )
    labels: Names | None = Field(
        default=None, description="Only these labels: separated by commas, or the option repeated"
    )
    boxes: Literal["xyxy", "xywh"] = Field(
        default="xyxy", description="Left, top, right, bottom; or left, top, width, height"
    )


@dataclass(slots=True)
class Detection:
    label: Annotated[str, Field(description="The label's name")]
    index: Annotated[int, Field(description="Its place among the model's labels")]
    score: Annotated[float, Field(ge=0.0, le=1.0)]
    box: Annotated[
        tuple[float, float, float, float],
        Field(description="In pixels of the image as sent, its edges 0 0 width height"),
    ]


@dataclass(slots=True)
class Detections:
    """What was found in one image, the surest first. Width and height are the image's as sent,
    upright."""

    width: int
    height: int
    detections: list[Detection]


class Detect(ImageTask[DetectOptions, Detections]):
    name = "detect"
    summary = "Find things in an image"
    description = (
        "Answers with the boxes of what the model knows. With `Accept: image/png` they are drawn "
        f"on the image; `{COCO.media_type}` is a list of COCO results, whose `image_id` counts "
        "the images of the request from 0 and whose `category_id` counts the labels from 1."
    )
    example: ClassVar[dict[str, Any]] = {
        "width": 640,
        "height": 480,
        "detections": [
            {"label": "ball", "index": 0, "score": 0.9817, "box": [212.4, 96.05, 318.9, 204.5]}
        ],
    }
    options = DetectOptions
    answer = Detections
    forms = (JSON, PNG, COCO)

    def check(self, manifest: Manifest) -> None:
        if not manifest.labels:
            raise BundleError("a detector needs labels")
        if self.name not in manifest.graphs:
            raise BundleError(f"the task needs a graph {self.name!r}")
        graph = manifest.graphs[self.name]
        most = next((t.shape[-1] for t in graph.outputs if t.name == "scores"), 0)
        wanted = ["score_threshold", *(["iou_threshold"] if _suppresses(manifest) else [])]
        check_image_graph(
            manifest,
            self.name,
            {
                "boxes": ("batch", most, 4),
                "scores": ("batch", most),
                "labels": ("batch", most),
                "count": ("batch", 1),
            },
            [TensorSpec(name=name, dtype="float32", shape=("batch", 1)) for name in wanted],
        )

    def inputs(self, manifest: Manifest, options: DetectOptions) -> Sample:
        _indices(manifest, options)  # an unknown label is the request's fault, not an image's
        usual = manifest.defaults
        score = options.score_threshold
        if score is None:
            score = float(usual.get("score_threshold", DEFAULT_SCORE_THRESHOLD))
        taken: Sample = {"score_threshold": np.array([score], np.float32)}
        iou = options.iou_threshold
        if not _suppresses(manifest):
            if iou is not None:
                raise InvalidOptionError(
                    f"iou_threshold: {manifest.ref} finds everything once and suppresses nothing"
                )
            return taken
        if iou is None:
            iou = float(usual.get("iou_threshold", DEFAULT_IOU_THRESHOLD))
        return {**taken, "iou_threshold": np.array([iou], np.float32)}

    def read(
        self, manifest: Manifest, outputs: Sample, options: DetectOptions, seen: Seen
    ) -> Detections:
        count = int(outputs["count"][0])
        labels: list[int] = outputs["labels"][:count].tolist()
        scores: list[float] = outputs["scores"][:count].astype(np.float64).tolist()
        boxes = outputs["boxes"][:count].astype(np.float64)  # [count, 4]
        boxes = seen.placement.to_image(boxes, clip=True).round(2)
        wanted = _indices(manifest, options)
        most = options.max_detections or int(manifest.defaults.get("max_detections", count))
        found = [
            Detection(manifest.labels[label].name, label, round(score, 4), _formed(box, options))
            for label, score, box in zip(labels, scores, boxes.tolist(), strict=True)
            # A box in the margin of a letterbox shows nothing of the image.
            if (wanted is None or label in wanted) and box[0] < box[2] and box[1] < box[3]
        ]
        return Detections(seen.info.width_px, seen.info.height_px, found[:most])

    def draw(
        self,
        manifest: Manifest,
        image: NDArray[np.uint8],
        answer: Detections,
        options: DetectOptions,
    ) -> NDArray[np.uint8]:
        found = answer.detections
        return draw_boxes(
            image,
            [_corners(d.box, options) for d in found],
            [d.label for d in found],
            [d.score for d in found],
            [label_colour(manifest.labels[d.index], d.index) for d in found],
        )

    def write(
        self,
        form: Form,
        manifest: Manifest,
        image: Callable[[], NDArray[np.uint8]],
        answer: Detections,
        options: DetectOptions,
    ) -> Any:
        if form is not COCO:
            return super().write(form, manifest, image, answer, options)
        return [
            {
                "category_id": d.index + FIRST_CATEGORY,
                "bbox": _sides(_corners(d.box, options)),
                "score": d.score,
            }
            for d in answer.detections
        ]

    def join(self, form: Form, parts: Sequence[Any]) -> bytes:
        if form is not COCO:
            return super().join(form, parts)
        return join_results(parts)


Box = tuple[float, float, float, float]


def _suppresses(manifest: Manifest) -> bool:
    """Whether the graph has non-maximum suppression, with its threshold as an input."""
    return any(t.name == "iou_threshold" for t in manifest.graphs[Detect.name].inputs)


def _indices(manifest: Manifest, options: DetectOptions) -> set[int] | None:
    """The labels that are asked for; None is all."""
    if options.labels is None:
        return None
    known = {label.name: index for index, label in enumerate(manifest.labels)}
    unknown = [name for name in options.labels if name not in known]
    if unknown or not options.labels:
        names = ", ".join([*known][:_NAMES_SHOWN]) + (" …" if len(known) > _NAMES_SHOWN else "")
        asked = ", ".join(map(repr, unknown)) or "nothing"
        raise InvalidOptionError(f"labels: {manifest.ref} does not know {asked}; it knows {names}")
    return {known[name] for name in options.labels}


def _formed(xyxy: Sequence[float], options: DetectOptions) -> Box:
    left, top, right, bottom = xyxy
    return (left, top, right, bottom) if options.boxes == "xyxy" else _sides(xyxy)


def _sides(xyxy: Sequence[float]) -> Box:
    """Left, top, width, height."""
    left, top, right, bottom = xyxy
    return left, top, round(right - left, 2), round(bottom - top, 2)


def _corners(box: Box, options: DetectOptions) -> Box:
    """The inverse of `_formed`."""
    left, top, third, fourth = box
    if options.boxes == "xyxy":
        return box
    return left, top, round(left + third, 2), round(top + fourth, 2)
