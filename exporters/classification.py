"""Classifiers: one graph from an image to the probabilities of its labels.

B batch, C classes, H W pixels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnx_ir as ir
import torch
from torch import Tensor, nn

from exporters.accuracy import Accuracy, mean_divergence, measure_accuracy, probabilities
from exporters.bundle import BundleSpec, Written, build_bundle, check_target, make_part
from exporters.card import Card
from exporters.errors import ExportError
from exporters.graph import drop_output, export_graph, load_graph, save_graph
from exporters.images import LabelledPixels, golden_images
from exporters.parity import FP32_TOLERANCE, TRACE_BATCH, measure_parity, run_torch
from exporters.precision import Quantized, quantize, store_half
from exporters.provenance import describe_export, typed_command, without_folders
from models.classification import ClassifierSpec
from service.bundle import Fit, Label, Parity, Quality, Tensors
from service.bundle.manifest import Precision

TASK: Final = "classify"
ROLE: Final = "classify"
TOP_K: Final = 5
OUTPUTS: Final = ("logits", "probabilities")
PRECISIONS: Final = ("fp32", "fp16", "int8")


class ClassificationGraph(nn.Module):
    """A classifier with its softmax; the logits are an output only while parity is measured."""

    def __init__(self, classifier: nn.Module) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [B, H, W, 3] -> logits, probabilities float32 [B, C]"""
        logits = self.classifier(image)
        return logits, logits.softmax(1)


@dataclass(frozen=True)
class ClassifierOptions:
    """How a classifier becomes a bundle. Data is sampled from what the classifier is made for."""

    name: str
    version: int | None = None
    precision: Precision = "fp32"
    licence: str = "Apache-2.0"
    max_batch: int = 64
    calibration: LabelledPixels | None = None
    evaluation: LabelledPixels | None = None


@dataclass(frozen=True)
class ExportedClassifier:
    """The bundle, and what was measured on the way."""

    written: Written
    original_parity: tuple[Parity, ...]
    """Of the float32 graph, from which the others are made."""
    accuracy: Accuracy | None
    quantized: Quantized | None


def export_classifier(
    classifier: nn.Module,
    spec: ClassifierSpec,
    metadata: Mapping[str, Any],
    repository: Path,
    options: ClassifierOptions,
) -> ExportedClassifier:
    """Write a bundle of `classifier`, which takes uint8 [B, H, W, 3] and answers logits [B, C].

    ParityError where the float32 graph is further than 1e-4 from PyTorch's logits; ExportError
    where int8 is asked for without calibration data.
    """
    if options.precision not in PRECISIONS:
        raise ExportError(f"a classifier becomes {', '.join(PRECISIONS)}, not {options.precision}")
    if options.precision == "int8" and options.calibration is None:
        raise ExportError("int8 needs images to calibrate on")
    check_target(repository, options.name, options.version)
    module = ClassificationGraph(classifier).eval()
    samples = options.evaluation or options.calibration
    images: Tensors = {
        "image": golden_images(*spec.input_size, samples.images if samples else None)
    }
    answers = run_torch(module, images, OUTPUTS)
    with tempfile.TemporaryDirectory(prefix="panoptes-export-") as made:
        original, lowered = Path(made, "fp32.onnx"), Path(made, "lowered.onnx")
        original_parity = _export_fp32(module, images, answers, original)
        model, quantized = _lower(original, options)
        save_graph(model, lowered)
        part = make_part(
            lowered,
            options.precision,
            images,
            {"probabilities": answers["probabilities"]},
            proven=original_parity,
            max_batch=options.max_batch,
        )
        accuracy = None
        if options.evaluation is not None:
            accuracy = measure_accuracy(lowered, original, options.evaluation)
    quality = [
        *_trained_quality(metadata),
        *_parity_quality(original_parity),
        *_accuracy_quality(accuracy, options),
    ]
    described = _describe(spec, metadata, options, tuple(quality), quantized)
    written = build_bundle(repository, described, {ROLE: part})
    return ExportedClassifier(written, original_parity, accuracy, quantized)


def _export_fp32(
    module: ClassificationGraph, images: Tensors, answers: Tensors, path: Path
) -> tuple[Parity, ...]:
    """Write the float32 graph, which answers probabilities alone; prove its logits first."""
    example = {name: torch.from_numpy(value[:TRACE_BATCH]) for name, value in images.items()}
    model = export_graph(module, example, OUTPUTS)
    save_graph(model, path)
    tolerances = dict.fromkeys(OUTPUTS, FP32_TOLERANCE)
    parity = measure_parity(path, images, answers, tolerances=tolerances)
    save_graph(drop_output(model, "logits"), path)
    return parity


def _lower(original: Path, options: ClassifierOptions) -> tuple[ir.Model, Quantized | None]:
    """The graph in the precision that was asked for."""
    if options.precision == "fp32":
        return load_graph(original), None
    if options.precision == "fp16":
        return store_half(load_graph(original)), None
    assert options.calibration is not None
    ranges, held_out = options.calibration.split(max(1, len(options.calibration) * 3 // 4))
    held_out = held_out if len(held_out) else ranges
    expected = probabilities(original, held_out)
    quantized = quantize(
        original,
        ranges.tensors,
        lambda graph: mean_divergence(expected, probabilities(graph, held_out)),
    )
    return quantized.model, quantized


def _trained_quality(metadata: Mapping[str, Any]) -> list[Quality]:
    """What training measured with PyTorch on its validation data."""
    command = without_folders(metadata.get("provenance", {}).get("command", ""))
    return [
        Quality(metric=name, value=float(value), data="validation split, PyTorch", command=command)
        for name, value in metadata.get("metrics", {}).items()
    ]


def _parity_quality(parity: tuple[Parity, ...]) -> list[Quality]:
    logits = [entry for entry in parity if entry.output == "logits"]
    sizes = ", ".join(str(entry.batch) for entry in logits)
    return [
        Quality(
            metric="fp32_logits_max_abs_difference",
            value=max(entry.max_abs for entry in logits),
            data=f"golden images at batch {sizes}, ONNX Runtime on the CPU against PyTorch",
        )
    ]


def _accuracy_quality(accuracy: Accuracy | None, options: ClassifierOptions) -> list[Quality]:
    """What the exported graph measures, and the graph it was made from."""
    if accuracy is None or options.evaluation is None:
        return []
    data = f"{options.evaluation.description}, ONNX Runtime on the CPU"
    measured = {"top1": accuracy.top1}
    if options.precision != "fp32":
        measured |= {
            "top1_fp32": accuracy.top1_fp32,
            "agreement_fp32": accuracy.agreement,
            "max_abs_probability_difference_fp32": accuracy.max_abs,
        }
    command = typed_command()
    return [
        Quality(metric=metric, value=value, data=data, command=command)
        for metric, value in measured.items()
    ]


def _describe(
    spec: ClassifierSpec,
    metadata: Mapping[str, Any],
    options: ClassifierOptions,
    quality: tuple[Quality, ...],
    quantized: Quantized | None,
) -> BundleSpec:
    height, width = spec.input_size
    origin = metadata.get("provenance", {})
    source = spec.pretrained or ""
    if quantized is not None and options.calibration is not None:
        calibrated = f"calibrated ({quantized.calibration}) on {options.calibration.description}"
        source = f"{source}; {calibrated}" if source else calibrated
    return BundleSpec(
        name=options.name,
        version=options.version,
        task=TASK,
        summary=f"Names what an image shows, one of {len(spec.labels)} labels ({spec.backbone})",
        licence=options.licence,
        provenance=describe_export(
            trained_by=origin.get("command", ""),
            commit=origin.get("commit", ""),
            data=origin.get("data", ""),
            seed=origin.get("seed"),
            source=source,
        ),
        card=_card(spec, options),
        labels=tuple(Label(name=name) for name in spec.labels),
        fit=Fit(mode=spec.fit, height=height, width=width),
        defaults={"top_k": min(TOP_K, len(spec.labels))},
        quality=quality,
    )


def _card(spec: ClassifierSpec, options: ClassifierOptions) -> Card:
    height, width = spec.input_size
    names = ", ".join(spec.labels[:100]) + (" …" if len(spec.labels) > 100 else "")
    return Card(
        knows=f"{len(spec.labels)} labels: {names}.",
        limits=(
            "Anything else. Every image gets one of these labels, also one that shows none of "
            f"them, and the probabilities say nothing about that. It sees {width} × {height} "
            "pixels, and what its training data did not show (see below) it has never seen."
        ),
        usage=(
            "With `bundles/` the folder that holds this model's:\n\n"
            "    panoptes serve --repository bundles\n"
            "    curl --data-binary @image.jpg -H 'Content-Type: image/jpeg' "
            f"'localhost:8000/classify?model={options.name}'"
        ),
    )
