"""Depth networks: one graph from an image to the depth of each of its pixels.

B batch, H W pixels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from exporters.bundle import BundleSpec, Written, build_bundle, check_target, make_part
from exporters.card import Card
from exporters.depth_data import KEPT, UnseenPairs, measure_depth
from exporters.errors import ExportError
from exporters.graph import drop_output, export_graph, load_graph, save_graph
from exporters.images import Pixels, golden_images
from exporters.parity import FP32_TOLERANCE, TRACE_BATCH, measure_parity, run_torch
from exporters.precision import store_half
from exporters.provenance import describe_export, typed_command, without_folders
from models.depth import DepthSpec
from service.bundle import Fit, Parity, Quality, Tensors
from service.bundle.manifest import Precision

TASK: Final = "depth"
ROLE: Final = "depth"
OUTPUTS: Final = ("disparity", "depth")
PRECISIONS: Final = ("fp32", "fp16")
FARTHEST_M: Final = 80.0
FARTHEST_TIMES: Final = 256.0
"""Without metres: so many times as far as the nearest that the network can say."""


@dataclass(frozen=True)
class Scale:
    """What the graph's numbers mean: `factor` divided by disparity, between two limits."""

    unit: str
    factor: float
    nearest: float
    farthest: float

    @classmethod
    def of(cls, spec: DepthSpec, farthest: float | None = None) -> Scale:
        """Metres where the spec knows its camera, else depth up to a factor."""
        metres = spec.metres
        factor = 1.0 if metres is None else metres
        nearest = factor / spec.max_disparity
        if farthest is None:
            farthest = nearest * FARTHEST_TIMES if metres is None else FARTHEST_M
        if spec.min_disparity > 0:
            farthest = min(farthest, factor / spec.min_disparity)
        if farthest <= nearest:
            raise ExportError(f"nothing is nearer than {nearest:.3g}: {farthest:.3g} is too near")
        return cls("relative" if metres is None else "metre", factor, nearest, farthest)


class DepthGraph(nn.Module):
    """A network with its disparity made depth; disparity is an output only while parity is
    measured."""

    def __init__(self, network: nn.Module, scale: Scale) -> None:
        super().__init__()
        self.network = network
        self.scale = scale

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [B, H, W, 3] -> disparity, as a fraction of the width, and depth [B, H, W]"""
        disparity = self.network(image).float()
        least, most = (
            self.scale.factor / self.scale.farthest,
            self.scale.factor / self.scale.nearest,
        )
        return disparity, self.scale.factor / disparity.clamp(least, most)


@dataclass(frozen=True)
class DepthOptions:
    """How a depth network becomes a bundle.

    Golden inputs are `scenes` (uint8 [N, H, W, 3] of the input's size) and synthetic images.
    """

    name: str
    version: int | None = None
    precision: Precision = "fp32"
    licence: str = "Apache-2.0"
    max_batch: int = 16
    farthest: float | None = None
    scenes: Pixels | None = None
    evaluation: UnseenPairs | None = None


@dataclass(frozen=True)
class ExportedDepth:
    """The bundle, and what was measured on the way."""

    written: Written
    original_parity: tuple[Parity, ...]
    """Of the float32 graph, from which the others are made."""
    figures: Mapping[str, float]
    """Of the graph that ships; empty where nothing was evaluated."""
    original_figures: Mapping[str, float]


def export_depth(
    network: nn.Module,
    spec: DepthSpec,
    metadata: Mapping[str, Any],
    repository: Path,
    options: DepthOptions,
) -> ExportedDepth:
    """Write a bundle of `network`, which takes uint8 [B, H, W, 3] and answers disparity [B, H, W].

    ParityError where the float32 graph's disparity is further than 1e-4 from PyTorch's.
    """
    if options.precision not in PRECISIONS:
        raise ExportError(
            f"a depth network becomes {', '.join(PRECISIONS)}, not {options.precision}"
        )
    check_target(repository, options.name, options.version)
    scale = Scale.of(spec, options.farthest)
    module = DepthGraph(network, scale).eval()
    images: Tensors = {"image": golden_images(*spec.input_size, options.scenes)}
    answers = run_torch(module, images, OUTPUTS)
    with tempfile.TemporaryDirectory(prefix="panoptes-export-") as made:
        original, lowered = Path(made, "fp32.onnx"), Path(made, "lowered.onnx")
        original_parity = _export_fp32(module, images, answers, original)
        model = load_graph(original)
        save_graph(model if options.precision == "fp32" else store_half(model), lowered)
        part = make_part(
            lowered,
            options.precision,
            images,
            {"depth": answers["depth"]},
            proven=original_parity,
            max_batch=options.max_batch,
        )
        figures, original_figures = _evaluate(lowered, original, spec, scale, options)
    quality = (
        *_trained_quality(metadata),
        *_parity_quality(original_parity),
        *_quality(figures, original_figures, options),
    )
    described = _describe(spec, scale, metadata, options, quality)
    written = build_bundle(repository, described, {ROLE: part})
    return ExportedDepth(written, original_parity, figures, original_figures)


def _export_fp32(
    module: DepthGraph, images: Tensors, answers: Tensors, path: Path
) -> tuple[Parity, ...]:
    """Write the float32 graph, which answers depth alone; prove its disparity first.

    A disparity that is off by a little is a depth that is off by much where it is far: depth is
    held to the same share of the farthest.
    """
    example = {name: torch.from_numpy(value[:TRACE_BATCH]) for name, value in images.items()}
    model = export_graph(module, example, OUTPUTS)
    save_graph(model, path)
    tolerances = {"disparity": FP32_TOLERANCE, "depth": FP32_TOLERANCE * module.scale.farthest}
    parity = measure_parity(path, images, answers, tolerances=tolerances)
    save_graph(drop_output(model, "disparity"), path)
    return parity


def _evaluate(
    graph: Path, original: Path, spec: DepthSpec, scale: Scale, options: DepthOptions
) -> tuple[dict[str, float], dict[str, float]]:
    """The figures of the graph, and of the float32 graph that it was made from."""
    if options.evaluation is None:
        return {}, {}
    figures = measure_depth(graph, spec, options.evaluation, scale.factor)
    if options.precision == "fp32":
        return figures, figures
    return figures, measure_depth(original, spec, options.evaluation, scale.factor)


def _trained_quality(metadata: Mapping[str, Any]) -> list[Quality]:
    """What training measured with PyTorch on its validation data."""
    command = without_folders(metadata.get("provenance", {}).get("command", ""))
    return [
        Quality(metric=name, value=float(value), data="validation split, PyTorch", command=command)
        for name, value in metadata.get("metrics", {}).items()
        if name.removeprefix("spec_").removeprefix("scaled_") in KEPT
    ]


def _parity_quality(parity: tuple[Parity, ...]) -> list[Quality]:
    disparity = [entry for entry in parity if entry.output == "disparity"]
    sizes = ", ".join(str(entry.batch) for entry in disparity)
    return [
        Quality(
            metric="fp32_disparity_max_abs_difference",
            value=max(entry.max_abs for entry in disparity),
            data=f"golden images at batch {sizes}, ONNX Runtime on the CPU against PyTorch",
        )
    ]


def _quality(
    figures: Mapping[str, float], original: Mapping[str, float], options: DepthOptions
) -> list[Quality]:
    if options.evaluation is None:
        return []
    measured = dict(figures)
    if options.precision != "fp32":
        measured |= {f"{name}_fp32": value for name, value in original.items() if "abs_rel" in name}
    data = f"{options.evaluation.description}, ONNX Runtime on the CPU"
    command = typed_command()
    return [
        Quality(metric=metric, value=value, data=data, command=command)
        for metric, value in measured.items()
    ]


def _describe(
    spec: DepthSpec,
    scale: Scale,
    metadata: Mapping[str, Any],
    options: DepthOptions,
    quality: tuple[Quality, ...],
) -> BundleSpec:
    height, width = spec.input_size
    origin = metadata.get("provenance", {})
    defaults: dict[str, bool | int | float | str] = {
        "unit": scale.unit,
        "min_depth": round(scale.nearest, 6),
        "max_depth": round(scale.farthest, 6),
    }
    defaults |= {
        name: value
        for name, value in (("focal_px", spec.focal_px), ("baseline_m", spec.baseline_m))
        if value is not None
    }
    said = "in metres" if scale.unit == "metre" else "up to a factor"
    return BundleSpec(
        name=options.name,
        version=options.version,
        task=TASK,
        summary=f"Says how far away each pixel is, {said} (Monodepth, {spec.backbone.name})",
        licence=options.licence,
        provenance=describe_export(
            trained_by=origin.get("command", ""),
            commit=origin.get("commit", ""),
            data=origin.get("data", ""),
            seed=origin.get("seed"),
            source=origin.get("source", ""),
        ),
        card=_card(spec, scale, options),
        fit=Fit(mode=spec.fit, height=height, width=width),
        defaults=defaults,
        quality=quality,
    )


def _card(spec: DepthSpec, scale: Scale, options: DepthOptions) -> Card:
    height, width = spec.input_size
    if scale.unit == "metre":
        meaning = (
            f"Depth along the optical axis in metres, from {scale.nearest:.3g} to "
            f"{scale.farthest:.3g}, for a camera whose focal length is "
            f"{(spec.focal_px or 0) / width:.3g} of the width of its image. Pictures of another "
            "camera get the depth that they would have had if taken by this one."
        )
    else:
        meaning = (
            "Depth along the optical axis up to one unknown factor: twice the number is twice "
            f"as far. The largest is {scale.farthest / scale.nearest:.3g} times the least."
        )
    return Card(
        knows=(
            f"{meaning}\n\n"
            "It was trained on stereo pairs without any truth, and looks at one image. "
            "Figures named `spec_` are by this camera, as a server answers; bare ones by "
            "each test pair's own camera; `scaled_` with the median of each image made right. "
            "`abs_rel` is the mean of |error| / truth, `rmse` in metres, `d1` the share of pixels "
            "right within a factor of 1.25."
        ),
        limits=(
            f"It sees {width} × {height} pixels: thinner things blur into what is behind them. At "
            "the left edge, which a right eye does not see, it guesses; `flip=true` helps. "
            "Mirrors, glass and plain walls mislead it. What its training data did not show (see "
            "below) it has never seen."
        ),
        usage=(
            "With `bundles/` the folder that holds this model's:\n\n"
            "    PANOPTES_REPOSITORIES='[\"bundles\"]' panoptes serve\n"
            "    curl --data-binary @image.jpg -H 'Content-Type: image/jpeg' "
            f"'localhost:8000/depth?format=png&model={options.name}' > depth.png"
        ),
    )
