"""Published detectors as ours. A further layout is a file beside this one and a row here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from exporters.checkpoints import hf_detr, torchvision_fasterrcnn, torchvision_retinanet
from exporters.checkpoints.classes import Classes
from exporters.checkpoints.files import Weights
from exporters.checkpoints.names import check_fit
from exporters.errors import CheckpointError
from models.detection import Detector, DetectorSpec, build_detector


class Reader(Protocol):
    """What a layout's file does: from its tensors and classes to our spec and weights."""

    def __call__(
        self, weights: Weights, classes: Classes, size: tuple[int, int], *, batchnorm_eps: float
    ) -> tuple[DetectorSpec, Weights]: ...


@dataclass(frozen=True)
class Layout:
    """How to read a library's detectors.

    `multiple` is what the sides of the input must divide by. `batchnorm_eps` is the ε that the
    library's published weights were trained with.
    """

    read: Reader
    multiple: int
    batchnorm_eps: float


LAYOUTS: Final[Mapping[str, Layout]] = {
    torchvision_retinanet.LAYOUT: Layout(
        torchvision_retinanet.read_torchvision_retinanet, multiple=32, batchnorm_eps=0.0
    ),
    torchvision_fasterrcnn.LAYOUT: Layout(
        torchvision_fasterrcnn.read_torchvision_fasterrcnn, multiple=32, batchnorm_eps=0.0
    ),
    hf_detr.LAYOUT: Layout(hf_detr.read_hf_detr, multiple=32, batchnorm_eps=1e-5),
}


def convert_detector(
    weights: Weights,
    classes: Classes,
    *,
    layout: str,
    size: tuple[int, int],
    batchnorm_eps: float | None = None,
) -> tuple[Detector[Any], DetectorSpec]:
    """The detector in evaluation mode, with the weights of `layout`, for inputs of `size` (H, W).

    CheckpointError where the weights are not of that layout, or do not know as many classes.
    """
    if layout not in LAYOUTS:
        raise CheckpointError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    known = LAYOUTS[layout]
    if any(side < 1 or side % known.multiple for side in size):
        raise CheckpointError(f"the sides must divide by {known.multiple}: {size[0]}x{size[1]}")
    eps = known.batchnorm_eps if batchnorm_eps is None else batchnorm_eps
    spec, ours = known.read(weights, classes, size, batchnorm_eps=eps)
    detector = build_detector(spec)
    check_fit(detector.state_dict(), ours, layout=layout)
    detector.load_state_dict(ours)
    return detector.eval().requires_grad_(False), spec
