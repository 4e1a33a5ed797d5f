"""Segmenters: one graph from an image to the segment of each of its pixels, fusion inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import nn

from exporters.bundle import BundleSpec, build_bundle
from exporters.card import IMAGE_REQUEST, Card, listed_labels, usage
from exporters.export import (
    Exported,
    ExportOptions,
    GraphSource,
    Output,
    check_options,
    describe,
    make_graph,
    measure,
    scratch,
)
from exporters.figures import Measured, measured_quality, trained_quality
from exporters.images import Pixels
from exporters.segmentation_accuracy import measure_segments
from exporters.segmentation_data import SCENES, UnseenSegments
from exporters.segmentation_golden import BOX_SHARE, MAP_SHARE, choose_golden
from exporters.segmentation_graph import THRESHOLDS, SegmentationGraph
from models.segmentation import SegmenterSpec
from models.segmentation.segmenting import PAPER, Shown
from service.bundle import Fit, Label, Quality

TASK: Final = "segment"
ROLE: Final = "segment"
MAP_STRIDE: Final = 4
MAP_TOLERANCE: Final = 1e-3
"""Of the float32 graph: where two queries, or two sums of almost nothing, are equal but for the
last digit, a cell may go either way. One of a thousand may; of a trained network's ids none does.
"""
SCORE_TOLERANCE: Final = 1e-3
"""Of the float32 graph: where a query may look, at its mask's border, hangs by a digit as well."""


@dataclass(frozen=True)
class SegmenterOptions(ExportOptions):
    """Golden inputs are chosen among `scenes` (uint8 [N, H, W, 3] of the input's size), else among
    the evaluation's images. The map has a cell for each `map_stride` squared of the pixels."""

    map_stride: int = MAP_STRIDE
    score_threshold: float = PAPER.score
    overlap_threshold: float = PAPER.overlap
    min_area: float = PAPER.min_area
    scenes: Pixels | None = None
    evaluation: UnseenSegments | None = None

    @property
    def shown(self) -> Shown:
        return Shown(self.score_threshold, self.overlap_threshold, self.min_area)


@dataclass(frozen=True)
class ExportedSegmenter(Exported):
    """With no segments in all golden inputs together, the golden check says little."""

    golden_segments: int = 0


def export_segmenter(
    network: nn.Module,
    spec: SegmenterSpec,
    metadata: Mapping[str, Any],
    repository: Path,
    options: SegmenterOptions,
) -> ExportedSegmenter:
    """Write a bundle of `network`, which takes uint8 [B, H, W, 3] and answers one `Answer`.

    ParityError where the float32 graph finds another segment than PyTorch on the golden inputs, or
    gives more than one cell in a thousand to another one.
    """
    check_options(options, repository, what="a segmenter")
    graph = SegmentationGraph(network, spec, options.map_stride).eval()
    golden = choose_golden(graph, _scenes(spec, options), options.precision)
    side_px, cells = max(spec.input_size), graph.map_size[0] * graph.map_size[1]
    source = GraphSource(
        graph,
        golden.tensors,
        (
            Output("ids", tolerance=MAP_TOLERANCE, golden=MAP_SHARE, by_share=True),
            Output("semantic", tolerance=MAP_TOLERANCE, golden=MAP_SHARE, by_share=True),
            Output.whole("labels"),
            Output("scores", tolerance=SCORE_TOLERANCE),
            Output("areas", tolerance=MAP_TOLERANCE * cells, golden=MAP_SHARE * cells),
            Output("boxes", tolerance=float(options.map_stride), golden=BOX_SHARE * side_px),
            Output.whole("count"),
        ),
    )
    measured = Measured()
    with scratch() as folder:
        made = make_graph(source, Path(folder, f"{ROLE}.onnx"), options)
        if (unseen := options.evaluation) is not None:
            measured = measure(
                made,
                options,
                lambda graph: measure_segments(graph, spec, unseen, options.shown),
            )
    quality = trained_quality(metadata)
    if unseen is not None:
        quality += measured_quality(measured, unseen.description, twins=lambda name: name == "PQ")
    described = _describe(spec, metadata, options, quality)
    written = build_bundle(repository, described, {ROLE: made.part})
    return ExportedSegmenter(written, {ROLE: made.proven.parity}, measured, golden.segments)


def _scenes(spec: SegmenterSpec, options: SegmenterOptions) -> Pixels | None:
    if options.scenes is not None or options.evaluation is None:
        return options.scenes
    return options.evaluation.pixels(spec, 0, SCENES)


def _describe(
    spec: SegmenterSpec,
    metadata: Mapping[str, Any],
    options: SegmenterOptions,
    quality: Sequence[Quality],
) -> BundleSpec:
    height, width = spec.input_size
    things = [n for n, thing in zip(spec.labels, spec.is_thing, strict=True) if thing]
    stuff = [n for n, thing in zip(spec.labels, spec.is_thing, strict=True) if not thing]
    return describe(
        options,
        metadata,
        task=TASK,
        summary=(
            "Says what every pixel belongs to: "
            + " and ".join(filter(None, [_some(things, "kinds of things"), _some(stuff, "stuffs")]))
            + f" (Mask2Former, {spec.backbone.name})"
        ),
        card=_card(spec, things, stuff, options),
        quality=quality,
        labels=tuple(
            Label(name=name, is_thing=thing)
            for name, thing in zip(spec.labels, spec.is_thing, strict=True)
        ),
        fit=Fit(mode=spec.fit, height=height, width=width),
        defaults=dict(zip(THRESHOLDS, options.shown, strict=True)),
    )


def _some(labels: Sequence[str], called: str) -> str:
    return ", ".join(labels) if len(labels) <= 8 else f"{len(labels)} {called}"


def _card(
    spec: SegmenterSpec, things: Sequence[str], stuff: Sequence[str], options: SegmenterOptions
) -> Card:
    height, width = spec.input_size
    kinds = " ".join(
        f"{what}: {listed_labels(labels)}."
        for what, labels in (
            ("Things, each by itself", things),
            ("Stuff, one segment an image", stuff),
        )
        if labels
    )
    return Card(
        knows=(
            f"{kinds} At most {spec.queries} segments an image, by default those that score at "
            f"least {options.score_threshold:g} and keep {options.overlap_threshold:.0%} of their "
            f"mask beside surer ones. The map has {height // options.map_stride} × "
            f"{width // options.map_stride} cells.\n\n"
            "`PQ` is panoptic quality, the product of how well segments are drawn (`SQ`) and how "
            "many are found and right (`RQ`); `_th` of things, `_st` of stuff. `mask_AP` is "
            "COCO's, of the things that are shown by default; `mIoU` is of the labels of pixels."
        ),
        limits=(
            f"Anything else. It sees {width} × {height} pixels, however large the image is: what "
            "is a few pixels there is missed, and edges are as coarse. No two segments share a "
            "pixel: what hides behind another thing is not guessed. What its training data did "
            "not show (see below) it has never seen."
        ),
        usage=usage(
            f"{IMAGE_REQUEST} 'localhost:8000/segment?model={options.name}'",
            f"{IMAGE_REQUEST} 'localhost:8000/segment?format=png&model={options.name}' > out.png",
        ),
    )
