"""/segment: what every pixel of the image belongs to, as masks, maps, outlines or colours.

h w cells of the model's map, Q rows of segments at most, H W pixels of the image as sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from service.bundle import BundleError, Manifest, TensorSpec
from service.engine.job import Sample
from service.imaging import (
    Box,
    Painted,
    draw_segments,
    encode_npy,
    find_regions,
    lay_cells,
    shade,
)
from service.tasks.coco import COCO, join_results
from service.tasks.colour import label_colour
from service.tasks.form import JSON, NPY, PNG, Form
from service.tasks.segment_answer import (
    SEGMENTS_INFO,
    Found,
    Mode,
    SegmentMap,
    Segments,
    features,
    join_features,
    panoptic_png,
    results,
    tell_segments,
)
from service.tasks.task import ImageOptions, ImageTask, Seen, check_image_graph

PANOPTIC: Final = Form("panoptic", "image/vnd.panoptes.panoptic+png")
POLYGONS: Final = Form("polygons", "application/geo+json", holds_many=True)

THRESHOLDS: Final = {"score_threshold": 0.5, "overlap_threshold": 0.8, "min_area": 0.0}
"""The graph's inputs beside the image, and what they are where the bundle does not say."""

MOST_VALUES: Final = 255
"""How many numbers a byte has beside 0, which is nothing."""

_Share = Annotated[float | None, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class SegmentOptions(ImageOptions):
    mode: Mode = Field(
        default="panoptic",
        description="Every thing by itself and stuff by its label; things alone; or all by label",
    )
    score_threshold: _Share = Field(
        default=None, description="Leave out what scores no higher; not for `semantic`"
    )
    overlap_threshold: _Share = Field(
        default=None,
        description="Leave out a segment of which surer ones have taken so much that less than "
        "this share is left; not for `semantic`",
    )
    min_area: _Share = Field(
        default=None,
        description="Leave out what fills less than this share of the model's view; not for "
        "`semantic`",
    )
    tolerance_px: float | None = Field(
        default=None,
        ge=0.0,
        le=1000.0,
        allow_inf_nan=False,
        description="How far the outline of a polygon may be from the mask's; 0 follows every "
        "pixel; without it one to two, or half a cell of the map if that is more",
    )


class SegmentTask(ImageTask[SegmentOptions, SegmentMap]):
    name = "segment"
    summary = "Say what every pixel of an image belongs to"
    description = (
        "JSON has each segment's mask in COCO's run lengths. "
        f"`{PANOPTIC.media_type}` is COCO's panoptic PNG, a pixel's id being R + 256 G + 65536 B, "
        f"with its `{SEGMENTS_INFO}` as a text inside; "
        f"`{NPY.media_type}` the same ids as uint8; `{POLYGONS.media_type}` a collection of "
        f"polygons with holes, in pixels; `{COCO.media_type}` a list of COCO results; `image/png` "
        "the segments drawn on the image. An id means the same in all of them, 0 nothing; in "
        "`semantic` it is the label's index + 1."
    )
    example: ClassVar[dict[str, Any]] = {
        "width": 640,
        "height": 480,
        "mode": "panoptic",
        "segments": [
            {
                "id": 1,
                "label": "ball",
                "index": 0,
                "is_thing": True,
                "score": 0.9817,
                "area": 9019,
                "box": [212, 96, 319, 205],
                "mask": {"size": [480, 640], "counts": "…"},
            }
        ],
    }
    options = SegmentOptions
    answer = Segments
    forms = (JSON, PNG, PANOPTIC, NPY, POLYGONS, COCO)

    def check(self, manifest: Manifest) -> None:
        if not 0 < len(manifest.labels) <= MOST_VALUES:
            raise BundleError(f"a model that segments needs 1 to {MOST_VALUES} labels")
        if self.name not in manifest.graphs:
            raise BundleError(f"the task needs a graph {self.name!r}")
        outputs = {t.name: t for t in manifest.graphs[self.name].outputs}
        map_shape = outputs["ids"].shape if "ids" in outputs else ("batch", "height", "width")
        rows = outputs["scores"].shape[-1] if "scores" in outputs else "rows"
        check_image_graph(
            manifest,
            self.name,
            {
                "ids": map_shape,
                "semantic": map_shape,
                "labels": ("batch", rows),
                "scores": ("batch", rows),
                "areas": ("batch", rows),
                "boxes": ("batch", rows, 4),
                "count": ("batch",),
            },
            [TensorSpec(name=name, dtype="float32", shape=("batch",)) for name in THRESHOLDS],
        )
        if len(map_shape) != 3 or {outputs[name].dtype for name in ("ids", "semantic")} != {
            "uint8"
        }:
            raise BundleError("ids and semantic must be maps of uint8")
        if not isinstance(rows, int) or rows >= MOST_VALUES:
            raise BundleError(f"a map of uint8 has no room for {rows} rows")

    def inputs(self, manifest: Manifest, options: SegmentOptions) -> Sample:
        chosen = options.model_dump(include={*THRESHOLDS}, exclude_none=True)
        usual = {name: manifest.defaults.get(name, value) for name, value in THRESHOLDS.items()}
        return {name: np.array(value, np.float32) for name, value in {**usual, **chosen}.items()}

    def read(
        self, manifest: Manifest, outputs: Sample, options: SegmentOptions, seen: Seen
    ) -> SegmentMap:
        if options.mode == "semantic":
            labels: Sequence[int] = range(len(manifest.labels))
            scores: Sequence[float | None] = [None] * len(labels)
            values = np.asarray(outputs["semantic"], np.uint8) + np.uint8(1)
        else:
            count = int(outputs["count"])
            labels = outputs["labels"][:count].tolist()
            scores = outputs["scores"][:count].astype(np.float64).tolist()
            values = np.asarray(outputs["ids"], np.uint8)
        if values.max() > len(labels):  # what no row is of is nothing
            values = np.where(values > len(labels), np.uint8(0), values)
        cell_map = lay_cells(values, seen.placement)
        if options.mode == "instance":
            things = np.zeros(256, np.uint8)
            for row, label in enumerate(labels, start=1):
                things[row] = row * manifest.labels[label].is_thing
            cell_map = cell_map.look_up(things)
        regions = find_regions(cell_map)
        segments = [
            _found(manifest, value, labels[value - 1], scores[value - 1], area, box)
            for value, area, box in zip(
                regions.values, regions.areas_px, regions.boxes_px, strict=True
            )
        ]
        return SegmentMap(seen.info, options.mode, cell_map, regions, segments)

    def tell(self, answer: SegmentMap) -> Segments:
        return tell_segments(answer)

    def draw(
        self,
        manifest: Manifest,
        image: NDArray[np.uint8],
        answer: SegmentMap,
        options: SegmentOptions,
    ) -> NDArray[np.uint8]:
        told: Counter[int] = Counter()
        painted = []
        for segment in answer.segments:
            label, score = manifest.labels[segment.index], segment.score
            painted.append(
                Painted(
                    segment.id,
                    segment.box,
                    shade(label_colour(label, segment.index), told[segment.index]),
                    label.name if score is None else f"{label.name} {score:.0%}",
                    stands_out=segment.is_thing and answer.mode != "semantic",
                )
            )
            told[segment.index] += 1
        return draw_segments(image, answer.cell_map, painted)

    def write(
        self,
        form: Form,
        manifest: Manifest,
        image: Callable[[], NDArray[np.uint8]],
        answer: SegmentMap,
        options: SegmentOptions,
    ) -> Any:
        if form is PANOPTIC:
            return panoptic_png(answer)
        if form is NPY:
            return encode_npy(answer.cell_map.pixels())
        if form is POLYGONS:
            return list(features(answer, options.tolerance_px))
        if form is COCO:
            return results(answer)
        return super().write(form, manifest, image, answer, options)

    def join(self, form: Form, parts: Sequence[Any]) -> bytes:
        if form is POLYGONS:
            return join_features(parts)
        return join_results(parts) if form is COCO else super().join(form, parts)


def _found(
    manifest: Manifest, value: int, label: int, score: float | None, area: int, box: Box
) -> Found:
    return Found(
        id=value,
        label=manifest.labels[label].name,
        index=label,
        is_thing=manifest.labels[label].is_thing,
        score=None if score is None else round(score, 4),
        area=area,
        box=box,
    )
