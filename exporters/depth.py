"""Depth networks: one graph from an image to the depth of each of its pixels.

B batch, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

from exporters.bundle import BundleSpec, build_bundle
from exporters.card import IMAGE_REQUEST, Card, usage
from exporters.depth_data import UnseenPairs, is_told, measure_depth
from exporters.errors import ExportError
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
from exporters.figures import (
    Measured,
    measured_quality,
    parity_quality,
    trained_quality,
)
from exporters.images import Pixels, golden_images
from exporters.parity import FP32_TOLERANCE
from models.depth import DepthSpec
from service.bundle import Fit, Quality

TASK: Final = "depth"
ROLE: Final = "depth"
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
class DepthOptions(ExportOptions):
    """Golden inputs are `scenes` (uint8 [N, H, W, 3] of the input's size) and synthetic images."""

    farthest: float | None = None
    scenes: Pixels | None = None
    evaluation: UnseenPairs | None = None


def export_depth(
    network: nn.Module,
    spec: DepthSpec,
    metadata: Mapping[str, Any],
    repository: Path,
    options: DepthOptions,
) -> Exported:
    """Write a bundle of `network`, which takes uint8 [B, H, W, 3] and answers disparity [B, H, W].

    ParityError where the float32 graph's disparity is further than 1e-4 from PyTorch's.
    """
    check_options(options, repository, what="a depth network")
    scale = Scale.of(spec, options.farthest)
    source = GraphSource(
        DepthGraph(network, scale).eval(),
        {"image": golden_images(*spec.input_size, options.scenes)},
        (
            Output("disparity", shipped=False),
            # A disparity that is off by a little is a depth that is off by much where it is far.
            Output("depth", tolerance=FP32_TOLERANCE * scale.farthest),
        ),
    )
    measured = Measured()
    with scratch() as folder:
        made = make_graph(source, Path(folder, f"{ROLE}.onnx"), options)
        if (unseen := options.evaluation) is not None:
            measured = measure(
                made, options, lambda graph: measure_depth(graph, spec, unseen, scale.factor)
            )
    parity = made.proven.parity
    quality = [*trained_quality(metadata, kept=is_told), *parity_quality(parity, "disparity")]
    if unseen is not None:
        quality += measured_quality(
            measured, unseen.description, twins=lambda name: "abs_rel" in name
        )
    described = _describe(spec, scale, metadata, options, quality)
    written = build_bundle(repository, described, {ROLE: made.part})
    return Exported(written, {ROLE: parity}, measured)


def _describe(
    spec: DepthSpec,
    scale: Scale,
    metadata: Mapping[str, Any],
    options: DepthOptions,
    quality: Sequence[Quality],
) -> BundleSpec:
    height, width = spec.input_size
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
    return describe(
        options,
        metadata,
        task=TASK,
        summary=f"Says how far away each pixel is, {said} (Monodepth, {spec.backbone.name})",
        card=_card(spec, scale, options),
        quality=quality,
        fit=Fit(mode=spec.fit, height=height, width=width),
        defaults=defaults,
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
    figures = (
        " Figures named `spec_` are by this camera, as a server answers; bare ones by each test "
        "pair's own camera; `scaled_` with the median of each image made right. `abs_rel` is the "
        "mean of |error| / truth, `rmse` in metres, `d1` the share of pixels right within a factor "
        "of 1.25."
    )
    return Card(
        knows=(
            f"{meaning}\n\n"
            "It learnt from views of the same scenes, without any truth, and looks at one image."
            f"{figures if options.evaluation is not None else ''}"
        ),
        limits=(
            f"It sees {width} × {height} pixels: thinner things blur into what is behind them. At "
            "the left edge, which a right eye does not see, it guesses; `flip=true` helps. "
            "Mirrors, glass and plain walls mislead it. What its training data did not show (see "
            "below) it has never seen."
        ),
        usage=usage(
            f"{IMAGE_REQUEST} 'localhost:8000/depth?format=png&model={options.name}' > depth.png"
        ),
    )
