"""What is known of an image's segments, and the documents that say it: COCO's and GeoJSON's."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field

from service.imaging import CellMap, ImageInfo, Regions, encode_cell_png, trace_polygons
from service.tasks.coco import FIRST_CATEGORY

Mode = Literal["panoptic", "instance", "semantic"]

SEGMENTS_INFO: Final = "segments_info"
"""The text in a panoptic PNG that has, as JSON, what COCO has beside such a file."""


@dataclass(slots=True)
class Mask:
    """COCO's compressed run lengths."""

    size: Annotated[tuple[int, int], Field(description="Height, width")]
    counts: str


@dataclass(slots=True)
class Found:
    """A segment but for where its pixels are."""

    id: Annotated[int, Field(ge=1, le=255, description="Its number in every map of this answer")]
    label: Annotated[str, Field(description="The label's name")]
    index: Annotated[int, Field(description="Its place among the model's labels")]
    is_thing: Annotated[bool, Field(description="Whether it can be counted: a cup, not the sky")]
    score: Annotated[
        float | None, Field(ge=0.0, le=1.0, description="null in `semantic`, which has none")
    ]
    area: Annotated[int, Field(description="Pixels of the image as sent")]
    box: Annotated[
        tuple[int, int, int, int], Field(description="Left, top, right, bottom of those pixels")
    ]


@dataclass(slots=True)
class Segment(Found):
    mask: Mask


@dataclass(slots=True)
class Segments:
    """What one image is made of. No two segments share a pixel. Width and height are the image's as
    sent, upright."""

    width: int
    height: int
    mode: Mode
    segments: list[Segment]


@dataclass(frozen=True, slots=True)
class SegmentMap:
    """The segments of one image, and the map of their ids."""

    info: ImageInfo
    mode: Mode
    cell_map: CellMap
    regions: Regions
    segments: list[Found]
    """One for each region."""

    def masks(self) -> list[Mask]:
        size = self.info.height_px, self.info.width_px
        return [Mask(size, counts) for counts in self.regions.run_lengths()]


def tell_segments(answer: SegmentMap) -> Segments:
    told = [
        Segment(one.id, one.label, one.index, one.is_thing, one.score, one.area, one.box, mask)
        for one, mask in zip(answer.segments, answer.masks(), strict=True)
    ]
    return Segments(answer.info.width_px, answer.info.height_px, answer.mode, told)


def panoptic_png(answer: SegmentMap) -> bytes:
    """COCO's: a pixel's id is R + 256 G + 65536 B, 0 where nothing is."""
    info = [
        {
            "id": segment.id,
            "category_id": segment.index + FIRST_CATEGORY,
            "isthing": int(segment.is_thing),
            "label": segment.label,
            "score": segment.score,
            "area": segment.area,
            "bbox": _sides(segment),
            "iscrowd": 0,
        }
        for segment in answer.segments
    ]
    return encode_cell_png(answer.cell_map, {SEGMENTS_INFO: json.dumps(info)})


def results(answer: SegmentMap) -> list[dict[str, Any]]:
    """COCO's. Without boxes: where one is given, its area counts as the segment's."""
    return [
        {
            "category_id": segment.index + FIRST_CATEGORY,
            "segmentation": asdict(mask),
            **({} if segment.score is None else {"score": segment.score}),
        }
        for segment, mask in zip(answer.segments, answer.masks(), strict=True)
    ]


def features(answer: SegmentMap, tolerance_px: float | None) -> Iterator[dict[str, Any]]:
    """GeoJSON's: each segment as polygons with holes, in pixels of the image."""
    if tolerance_px is None:
        cell_px = answer.cell_map.cell_px
        # Half a cell keeps corners; where that is hardly a pixel, a whole one smooths the steps.
        tolerance_px = max(1.0, cell_px if cell_px < 2 else cell_px / 2)
    polygons = trace_polygons(answer.cell_map, tolerance_px)
    for segment in answer.segments:
        said = asdict(segment)
        del said["id"]
        yield {
            "type": "Feature",
            "id": segment.id,
            "geometry": {"type": "MultiPolygon", "coordinates": polygons[segment.id]},
            "properties": said,
        }


def join_features(parts: Sequence[Sequence[dict[str, Any]]]) -> bytes:
    """One collection for all images, where `image` counts them from 0."""
    joined = [
        {**feature, "properties": {"image": at, **feature["properties"]}}
        for at, part in enumerate(parts)
        for feature in part
    ]
    return orjson.dumps({"type": "FeatureCollection", "features": joined})


def _sides(segment: Found) -> list[int]:
    """Left, top, width, height."""
    left, top, right, bottom = segment.box
    return [left, top, right - left, bottom - top]
