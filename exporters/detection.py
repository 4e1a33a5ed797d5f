"""Detectors: one graph from an image to its boxes, suppression inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import nn

from exporters.bundle import BundleSpec, build_bundle
from exporters.card import IMAGE_REQUEST, Card, listed_labels, usage
from exporters.detection_accuracy import measure_detections
from exporters.detection_data import SCENES, UnseenImages
from exporters.detection_golden import choose_golden
from exporters.detection_graph import DetectionGraph, Selection
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
from exporters.parity import FP32_TOLERANCE
from models.detection import DetectorSpec
from service.bundle import Fit, Label, Quality

TASK: Final = "detect"
ROLE: Final = "detect"
SCORE_THRESHOLD: Final = 0.3
CANDIDATES: Final = 256


@dataclass(frozen=True)
class DetectorOptions(ExportOptions):
    """Golden inputs are chosen among `scenes` (uint8 [N, H, W, 3] of the input's size), else among
    the evaluation's images."""

    max_batch: int = 32
    candidates: int = CANDIDATES
    score_threshold: float = SCORE_THRESHOLD
    scenes: Pixels | None = None
    evaluation: UnseenImages | None = None


@dataclass(frozen=True)
class ExportedDetector(Exported):
    """With no detections in all golden inputs together, the golden check says little."""

    golden_detections: int = 0


def export_detector(
    network: nn.Module,
    spec: DetectorSpec,
    metadata: Mapping[str, Any],
    repository: Path,
    options: DetectorOptions,
) -> ExportedDetector:
    """Write a bundle of `network`, which takes uint8 [B, H, W, 3] and answers `Candidates`.

    ParityError where the float32 graph finds something else than PyTorch on the golden inputs.
    """
    check_options(options, repository, what="a detector")
    selection = Selection.of(spec, options.candidates)
    golden = choose_golden(network, selection, _scenes(spec, options), options.precision)
    side_px = max(spec.input_size)
    source = GraphSource(
        DetectionGraph(network, selection).eval(),
        golden.tensors,
        (
            Output("boxes", tolerance=FP32_TOLERANCE * side_px, magnitude=side_px),
            Output("scores"),
            Output.whole("labels"),
            Output.whole("count"),
        ),
    )
    measured = Measured()
    with scratch() as folder:
        made = make_graph(source, Path(folder, f"{ROLE}.onnx"), options)
        if (unseen := options.evaluation) is not None:
            measured = measure(made, options, lambda graph: measure_detections(graph, spec, unseen))
    quality = trained_quality(metadata)
    if unseen is not None:
        quality += measured_quality(measured, unseen.description, twins=lambda name: name == "AP")
    described = _describe(spec, metadata, options, quality)
    written = build_bundle(repository, described, {ROLE: made.part})
    return ExportedDetector(written, {ROLE: made.proven.parity}, measured, golden.detections)


def _scenes(spec: DetectorSpec, options: DetectorOptions) -> Pixels | None:
    if options.scenes is not None or options.evaluation is None:
        return options.scenes
    return options.evaluation.pixels(spec, 0, SCENES)


def _describe(
    spec: DetectorSpec,
    metadata: Mapping[str, Any],
    options: DetectorOptions,
    quality: Sequence[Quality],
) -> BundleSpec:
    height, width = spec.input_size
    defaults: dict[str, bool | int | float | str] = {
        "score_threshold": options.score_threshold,
        "max_detections": spec.max_detections,
    }
    if spec.needs_nms:
        defaults["iou_threshold"] = spec.nms_iou
    return describe(
        options,
        metadata,
        task=TASK,
        summary=f"Finds {_some(spec.labels)} ({spec.family}, {spec.backbone.name})",
        card=_card(spec, options),
        quality=quality,
        labels=tuple(Label(name=name) for name in spec.labels),
        fit=Fit(mode=spec.fit, height=height, width=width),
        defaults=defaults,
    )


def _some(labels: tuple[str, ...]) -> str:
    return ", ".join(labels) if len(labels) <= 8 else f"{len(labels)} kinds of things"


def _card(spec: DetectorSpec, options: DetectorOptions) -> Card:
    height, width = spec.input_size
    doubles = (
        f"Of boxes of one label that overlap by more than {spec.nms_iou:g} (`iou_threshold`) the "
        f"surest stays; the {options.candidates} surest candidates are looked at."
        if spec.needs_nms
        else "It finds everything once: there is no suppression, and no threshold for it."
    )
    return Card(
        knows=(
            f"{listed_labels(spec.labels)}. At most {spec.max_detections} boxes an image, by "
            f"default those that score above {options.score_threshold:g}. {doubles}"
        ),
        limits=(
            f"Anything else. It sees {width} × {height} pixels, however large the image is: what "
            "is a few pixels there is missed. Scores rank boxes, and are no probabilities. What "
            "its training data did not show (see below) it has never seen."
        ),
        usage=usage(f"{IMAGE_REQUEST} 'localhost:8000/detect?model={options.name}'"),
    )
