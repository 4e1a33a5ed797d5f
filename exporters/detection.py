"""Detectors: one graph from an image to its boxes, suppression inside."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx_ir as ir
import torch
from torch import nn

from exporters.bundle import BundleSpec, Part, Written, build_bundle, check_target
from exporters.card import Card
from exporters.detection_accuracy import measure_detections
from exporters.detection_data import SCENES, UnseenImages
from exporters.detection_golden import GoldenInputs, choose_golden
from exporters.detection_graph import OUTPUTS, DetectionGraph, Selection
from exporters.drift import golden_tolerance
from exporters.errors import ExportError, ParityError
from exporters.graph import export_graph, load_graph, save_graph
from exporters.images import Pixels
from exporters.parity import (
    FP32_TOLERANCE,
    TRACE_BATCH,
    max_distance,
    measure_parity,
    run_torch,
)
from exporters.precision import store_half
from exporters.provenance import describe_export, typed_command, without_folders
from exporters.session import CpuSession
from models.detection import DetectorSpec
from service.bundle import Fit, Label, Parity, Quality, Tensors
from service.bundle.manifest import Precision

TASK: Final = "detect"
ROLE: Final = "detect"
PRECISIONS: Final = ("fp32", "fp16")
SCORE_THRESHOLD: Final = 0.3
CANDIDATES: Final = 256
EXACT: Final = 0.5
"""A tolerance for whole numbers: they are equal or not."""


@dataclass(frozen=True)
class DetectorOptions:
    """How a detector becomes a bundle.

    Golden inputs are chosen among `scenes` (uint8 [N, H, W, 3] of the input's size), else among
    the evaluation's images.
    """

    name: str
    version: int | None = None
    precision: Precision = "fp32"
    licence: str = "Apache-2.0"
    max_batch: int = 32
    candidates: int = CANDIDATES
    score_threshold: float = SCORE_THRESHOLD
    scenes: Pixels | None = None
    evaluation: UnseenImages | None = None


@dataclass(frozen=True)
class ExportedDetector:
    """The bundle, and what was measured on the way."""

    written: Written
    original_parity: tuple[Parity, ...]
    """Of the float32 graph, from which the others are made."""
    golden_detections: int
    """In all golden inputs together; with none of them, the golden check says little."""
    figures: Mapping[str, float]
    """COCO's, of the graph that ships; empty where nothing was evaluated."""
    original_figures: Mapping[str, float]


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
    if options.precision not in PRECISIONS:
        raise ExportError(f"a detector becomes {', '.join(PRECISIONS)}, not {options.precision}")
    check_target(repository, options.name, options.version)
    selection = Selection.of(spec, options.candidates)
    module = DetectionGraph(network, selection).eval()
    golden = choose_golden(network, selection, _scenes(spec, options), options.precision)
    answers = run_torch(module, golden.tensors, OUTPUTS)
    with tempfile.TemporaryDirectory(prefix="panoptes-export-") as made:
        original, lowered = Path(made, "fp32.onnx"), Path(made, "lowered.onnx")
        example = {name: torch.from_numpy(v[:TRACE_BATCH]) for name, v in golden.tensors.items()}
        save_graph(export_graph(module, example, OUTPUTS), original)
        proven = _tolerances(spec, FP32_TOLERANCE, FP32_TOLERANCE * max(spec.input_size))
        original_parity = measure_parity(original, golden.tensors, answers, tolerances=proven)
        model = _lower(original, options.precision)
        save_graph(model, lowered)
        allowed = _measure_tolerances(lowered, spec, options.precision, golden, answers)
        parity = original_parity
        if options.precision != "fp32":
            parity = measure_parity(lowered, golden.tensors, answers, tolerances=allowed)
        figures, original_figures = _evaluate(lowered, original, spec, options)
    part = Part(
        model=model,
        precision=options.precision,
        golden_inputs=golden.tensors,
        golden_outputs=answers,
        golden_tolerance=allowed["scores"],
        golden_tolerances={name: allowed[name] for name in OUTPUTS if name != "scores"},
        parity=parity,
        max_batch=options.max_batch,
    )
    quality = (*_trained_quality(metadata), *_quality(figures, original_figures, options))
    described = _describe(spec, metadata, options, quality)
    written = build_bundle(repository, described, {ROLE: part})
    return ExportedDetector(written, original_parity, golden.detections, figures, original_figures)


def _scenes(spec: DetectorSpec, options: DetectorOptions) -> Pixels | None:
    if options.scenes is not None or options.evaluation is None:
        return options.scenes
    return options.evaluation.pixels(spec, 0, SCENES)


def _lower(original: Path, precision: Precision) -> ir.Model:
    model = load_graph(original)
    return model if precision == "fp32" else store_half(model)


def _tolerances(spec: DetectorSpec, scores: float, pixels: float) -> dict[str, float]:
    return {"boxes": pixels, "scores": scores, "labels": EXACT, "count": EXACT}


def _measure_tolerances(
    graph: Path, spec: DetectorSpec, precision: Precision, golden: GoldenInputs, answers: Tensors
) -> dict[str, float]:
    """What another engine may differ by, output by output: see `exporters.drift`."""
    found = CpuSession(graph).run(golden.tensors)
    drift = {name: max_distance(answers[name], found[name]) for name in OUTPUTS}
    if max(drift["labels"], drift["count"]) > EXACT:
        raise ParityError(f"as {precision} the graph finds something else than PyTorch")
    return _tolerances(
        spec,
        golden_tolerance(precision, drift["scores"], 1.0),
        golden_tolerance(precision, drift["boxes"], max(spec.input_size)),
    )


def _evaluate(
    graph: Path, original: Path, spec: DetectorSpec, options: DetectorOptions
) -> tuple[dict[str, float], dict[str, float]]:
    """COCO's figures of the graph, and of the float32 graph that it was made from."""
    if options.evaluation is None:
        return {}, {}
    figures = measure_detections(graph, spec, options.evaluation)
    if options.precision == "fp32":
        return figures, figures
    return figures, measure_detections(original, spec, options.evaluation)


def _trained_quality(metadata: Mapping[str, Any]) -> list[Quality]:
    """What training measured with PyTorch on its validation data."""
    command = without_folders(metadata.get("provenance", {}).get("command", ""))
    return [
        Quality(metric=name, value=float(value), data="validation split, PyTorch", command=command)
        for name, value in metadata.get("metrics", {}).items()
    ]


def _quality(
    figures: Mapping[str, float], original: Mapping[str, float], options: DetectorOptions
) -> list[Quality]:
    if options.evaluation is None:
        return []
    measured = dict(figures)
    if options.precision != "fp32" and "AP" in original:
        measured["AP_fp32"] = original["AP"]
    data = f"{options.evaluation.description}, ONNX Runtime on the CPU"
    command = typed_command()
    return [
        Quality(metric=metric, value=value, data=data, command=command)
        for metric, value in measured.items()
    ]


def _describe(
    spec: DetectorSpec,
    metadata: Mapping[str, Any],
    options: DetectorOptions,
    quality: tuple[Quality, ...],
) -> BundleSpec:
    height, width = spec.input_size
    origin = metadata.get("provenance", {})
    defaults: dict[str, bool | int | float | str] = {
        "score_threshold": options.score_threshold,
        "max_detections": spec.max_detections,
    }
    if spec.needs_nms:
        defaults["iou_threshold"] = spec.nms_iou
    return BundleSpec(
        name=options.name,
        version=options.version,
        task=TASK,
        summary=f"Finds {_some(spec.labels)} ({spec.family}, {spec.backbone.name})",
        licence=options.licence,
        provenance=describe_export(
            trained_by=origin.get("command", ""),
            commit=origin.get("commit", ""),
            data=origin.get("data", ""),
            seed=origin.get("seed"),
            source=origin.get("source", ""),
        ),
        card=_card(spec, options),
        labels=tuple(Label(name=name) for name in spec.labels),
        fit=Fit(mode=spec.fit, height=height, width=width),
        defaults=defaults,
        quality=quality,
    )


def _some(labels: tuple[str, ...]) -> str:
    return ", ".join(labels) if len(labels) <= 8 else f"{len(labels)} kinds of things"


def _card(spec: DetectorSpec, options: DetectorOptions) -> Card:
    height, width = spec.input_size
    names = ", ".join(spec.labels[:100]) + (" …" if len(spec.labels) > 100 else "")
    doubles = (
        f"Of boxes of one label that overlap by more than {spec.nms_iou:g} (`iou_threshold`) the "
        f"surest stays; the {options.candidates} surest candidates are looked at."
        if spec.needs_nms
        else "It finds everything once: there is no suppression, and no threshold for it."
    )
    return Card(
        knows=(
            f"{len(spec.labels)} labels: {names}. At most {spec.max_detections} boxes an image, by "
            f"default those that score above {options.score_threshold:g}. {doubles}"
        ),
        limits=(
            f"Anything else. It sees {width} × {height} pixels, however large the image is: what "
            "is a few pixels there is missed. Scores rank boxes, and are no probabilities. What "
            "its training data did not show (see below) it has never seen."
        ),
        usage=(
            "With `bundles/` the folder that holds this model's:\n\n"
            "    PANOPTES_REPOSITORIES='[\"bundles\"]' panoptes serve\n"
            "    curl --data-binary @image.jpg -H 'Content-Type: image/jpeg' "
            f"'localhost:8000/detect?model={options.name}'"
        ),
    )
