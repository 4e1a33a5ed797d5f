"""A depth network over a whole set of pairs, measured against what is known of them."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.data.stereo import StereoPairs
from models.depth.losses import appearance
from models.depth.measures import DepthMeasures, depth_figures, median_scaled
from models.depth.spec import DepthSpec
from models.geometry import depth_from_disparity, shift_columns
from models.training.task import Place

EVALUATION_BATCH = 16

#: For a disparity of 0, whose depth would be infinite.
_LEAST_DISPARITY = 1e-6


class Estimate(NamedTuple):
    """What a network says of one image, at the truth's resolution."""

    pair: int
    disparity: Tensor  # float [h, w], fraction of the width
    truth_m: Tensor  # float [h, w], 0 where unknown
    metres: float | None  # focal length in widths times baseline of this pair's own cameras

    def depth(self, metres: float | None) -> Tensor:
        """Metres; up to a factor where the cameras are not known."""
        return depth_from_disparity(self.disparity, 1.0, metres or 1.0)


@torch.inference_mode()
def estimate_all(
    network: nn.Module,
    spec: DepthSpec,
    pairs: StereoPairs,
    place: Place,
    chosen: Tensor | None = None,
) -> Iterator[Estimate]:
    """The estimates of this process's share of the pairs, or of the chosen ones int64 [N].

    Their depth must be known.
    """
    numbers = torch.arange(len(pairs)) if chosen is None else chosen
    for indices in torch.split(numbers[place.share.of(len(numbers))], EVALUATION_BATCH):
        left, _ = pairs.read(indices, spec.input_size)
        disparities = network(left.to(place.device)).float()  # [B, H, W]
        cameras = pairs.cameras(indices)
        metres = (cameras.focal_widths * cameras.baseline_m).tolist()
        for index, disparity, known in zip(indices.tolist(), disparities, metres, strict=True):
            truth = pairs.depth(index).to(place.device)
            if disparity.shape != truth.shape:
                disparity = _resized(disparity, truth)
            disparity = disparity.clamp_min(_LEAST_DISPARITY)
            yield Estimate(index, disparity, truth, None if known != known else known)


class Figures(NamedTuple):
    """The same estimates measured in three ways; the first two only where it can be."""

    own_camera: DepthMeasures  # with the focal length and baseline of each pair's own cameras
    spec_camera: DepthMeasures  # with those that the network's spec says, as a server does
    scaled: DepthMeasures  # with the median of each image made right

    @classmethod
    def zero(cls, device: torch.device | None = None) -> "Figures":
        return cls(*(DepthMeasures.zero(device) for _ in cls._fields))

    def add(self, estimate: Estimate, spec: DepthSpec) -> None:
        for measures, metres in (
            (self.own_camera, estimate.metres),
            (self.spec_camera, spec.metres),
        ):
            if metres is not None:
                measures.add(depth_figures(estimate.depth(metres), estimate.truth_m))
        scaled = median_scaled(estimate.depth(None), estimate.truth_m)
        self.scaled.add(depth_figures(scaled, estimate.truth_m))

    def named(self, place: Place) -> dict[str, float]:
        """Own cameras' figures bare, the others with a prefix; where nothing was measured, none."""
        named: dict[str, float] = {}
        for prefix, measures in zip(("", "spec_", "scaled_"), self, strict=True):
            summed = measures.summed(place.total)
            if summed.images > 0:
                named |= summed.figures(prefix)
        return named


@torch.inference_mode()
def rebuilt_appearance(
    network: nn.Module, spec: DepthSpec, pairs: StereoPairs, place: Place
) -> float:
    """How badly left views are rebuilt from right ones: what can be measured without any truth."""
    sums = torch.zeros(2, dtype=torch.float64, device=place.device)
    share = place.share.of(len(pairs))
    for index in range(share.start, share.stop):
        left, right = pairs.read(torch.tensor([index]), spec.input_size)
        left, right = left.to(place.device), right.to(place.device)
        disparity = network(left).float()  # [1, H, W]
        real, other = (view.permute(0, 3, 1, 2).float() / 255 for view in (left, right))
        rebuilt = shift_columns(other, -spec.input_size[1] * disparity)
        sums += torch.stack([appearance(rebuilt, real), torch.ones((), device=place.device)])
    total, images = place.total(sums).tolist()
    return float(total / images)


def _resized(disparity: Tensor, like: Tensor) -> Tensor:
    size = (like.shape[0], like.shape[1])
    return F.interpolate(disparity[None, None], size, mode="bilinear", align_corners=False)[0, 0]
