"""Classifiers: one graph from an image to the probabilities of its labels.

B batch, C classes, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

from exporters.accuracy import Accuracy, mean_divergence, measure_accuracy, probabilities
from exporters.bundle import BundleSpec, build_bundle
from exporters.card import IMAGE_REQUEST, Card, listed_labels, usage
from exporters.errors import ExportError
from exporters.export import (
    Exported,
    ExportOptions,
    GraphSource,
    Made,
    Output,
    check_options,
    describe,
    make_graph,
    prove,
    scratch,
    ship,
)
from exporters.figures import Measured, measured_quality, parity_quality, trained_quality
from exporters.graph import save_graph
from exporters.images import LabelledPixels, golden_images
from exporters.precision import Quantized, quantize
from models.classification import ClassifierSpec
from service.bundle import Fit, Label, Quality
from service.bundle.manifest import Precision

TASK: Final = "classify"
ROLE: Final = "classify"
TOP_K: Final = 5
PRECISIONS: Final[tuple[Precision, ...]] = ("fp32", "fp16", "fp16-compute", "int8")


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
class ClassifierOptions(ExportOptions):
    """Data is sampled from what the classifier is made for."""

    max_batch: int = 64
    calibration: LabelledPixels | None = None
    evaluation: LabelledPixels | None = None


@dataclass(frozen=True)
class ExportedClassifier(Exported):
    """With what was measured of its precision."""

    accuracy: Accuracy | None = None
    quantized: Quantized | None = None


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
    check_options(options, repository, what="a classifier", precisions=PRECISIONS)
    if options.precision == "int8" and options.calibration is None:
        raise ExportError("int8 needs images to calibrate on")
    samples = options.evaluation or options.calibration
    source = GraphSource(
        ClassificationGraph(classifier).eval(),
        {"image": golden_images(*spec.input_size, samples.images if samples else None)},
        (Output("logits", shipped=False), Output("probabilities")),
    )
    accuracy = None
    with scratch() as folder:
        made, quantized = _make(source, Path(folder, f"{ROLE}.onnx"), options)
        if options.evaluation is not None:
            accuracy = measure_accuracy(made.graph, made.proven.graph, options.evaluation)
    parity = made.proven.parity
    measured = Measured() if accuracy is None else _figures(accuracy, options.precision)
    quality = [*trained_quality(metadata), *parity_quality(parity, "logits")]
    if options.evaluation is not None:
        quality += measured_quality(measured, options.evaluation.description)
    described = _describe(spec, metadata, options, quality, quantized)
    written = build_bundle(repository, described, {ROLE: made.part})
    return ExportedClassifier(written, {ROLE: parity}, measured, accuracy, quantized)


def _make(
    source: GraphSource, path: Path, options: ClassifierOptions
) -> tuple[Made, Quantized | None]:
    """The graph in the precision that was asked for."""
    if options.precision != "int8":
        return make_graph(source, path, options), None
    assert options.calibration is not None
    ranges, held_out = options.calibration.split(max(1, len(options.calibration) * 3 // 4))
    held_out = held_out if len(held_out) else ranges
    proven = prove(source, path.with_suffix(".fp32.onnx"))
    expected = probabilities(proven.graph, held_out)
    quantized = quantize(
        proven.graph,
        ranges.tensors,
        lambda graph: mean_divergence(expected, probabilities(graph, held_out)),
    )
    save_graph(quantized.model, path)
    return ship(proven, path, options), quantized


def _figures(accuracy: Accuracy, precision: Precision) -> Measured:
    """What the exported graph measures, and how it differs from the graph it was made from."""
    figures = {"top1": accuracy.top1}
    if precision == "fp32":
        return Measured(figures)
    figures |= {
        "agreement_fp32": accuracy.agreement,
        "max_abs_probability_difference_fp32": accuracy.max_abs,
    }
    return Measured(figures, {"top1": accuracy.top1_fp32})


def _describe(
    spec: ClassifierSpec,
    metadata: Mapping[str, Any],
    options: ClassifierOptions,
    quality: Sequence[Quality],
    quantized: Quantized | None,
) -> BundleSpec:
    height, width = spec.input_size
    source = spec.pretrained or ""
    if quantized is not None and options.calibration is not None:
        calibrated = f"calibrated ({quantized.calibration}) on {options.calibration.description}"
        source = f"{source}; {calibrated}" if source else calibrated
    return describe(
        options,
        metadata,
        task=TASK,
        summary=f"Names what an image shows, one of {len(spec.labels)} labels ({spec.backbone})",
        card=_card(spec, options),
        quality=quality,
        labels=tuple(Label(name=name) for name in spec.labels),
        fit=Fit(mode=spec.fit, height=height, width=width),
        defaults={"top_k": min(TOP_K, len(spec.labels))},
        source=source,
    )


def _card(spec: ClassifierSpec, options: ClassifierOptions) -> Card:
    height, width = spec.input_size
    return Card(
        knows=f"{listed_labels(spec.labels)}.",
        limits=(
            "Anything else. Every image gets one of these labels, also one that shows none of "
            f"them, and the probabilities say nothing about that. It sees {width} × {height} "
            "pixels, and what its training data did not show (see below) it has never seen."
        ),
        usage=usage(f"{IMAGE_REQUEST} 'localhost:8000/classify?model={options.name}'"),
    )
