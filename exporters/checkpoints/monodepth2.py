"""Monodepth2's published networks (Godard et al. 2019): `encoder.pth` beside `depth.pth`.

They say inverse depth between 1/100 and 1/0.1 of a unit. Training took the focal length for 0.58
widths and a stereo baseline for 0.1 units, whereas KITTI's is 0.54 m: where stereo was used in
training, a unit is 5.4 m. In our terms that is disparity at that focal length.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from exporters.checkpoints.names import Rule, check_fit, find, rename
from exporters.checkpoints.resnet import name_resnet
from exporters.errors import CheckpointError
from models.backbones.spec import BackboneSpec
from models.depth import DepthNetwork, DepthSpec

LAYOUT: Final = "monodepth2"

NEAREST, FARTHEST = 0.1, 100.0
FOCAL_WIDTHS, TRAINED_BASELINE, KITTI_BASELINE_M = 0.58, 0.1, 0.54

#: What `encoder.pth` holds beside tensors.
_SETTINGS: Final = ("height", "width", "use_stereo")

_ENCODER_RULES: Final[tuple[Rule, ...]] = (
    (r"encoder\.fc\..*", ""),
    (r"encoder\.(.*)", r"encoder.body.\1"),
)
# The published list runs from the coarsest stride to the finest, two convolutions each; after them
# come the heads, finest first.
_DECODER_RULES: Final[tuple[Rule, ...]] = (
    *(
        (rf"decoder\.{2 * i + place}\.conv\.conv\.(weight|bias)", rf"decoder.{ours}.{4 - i}.0.\1")
        for i in range(5)
        for place, ours in enumerate(("reduce", "merge"))
    ),
    *(
        (rf"decoder\.{10 + scale}\.conv\.(weight|bias)", rf"decoder.heads.{scale}.0.\1")
        for scale in range(4)
    ),
)


def read_monodepth2(folder: Path) -> tuple[DepthNetwork, DepthSpec]:
    """The network in evaluation mode, at the size that it was trained for."""
    encoder, decoder = (_load(folder / name) for name in ("encoder.pth", "depth.pth"))
    try:
        size = int(encoder["height"]), int(encoder["width"])
    except KeyError as error:
        raise CheckpointError(f"{folder}/encoder.pth does not say its {error}") from error
    stereo = bool(encoder.get("use_stereo", False))
    tensors = {k: v for k, v in encoder.items() if k not in _SETTINGS}
    return convert_monodepth2({**tensors, **decoder}, size=size, stereo=stereo)


def convert_monodepth2(
    weights: Mapping[str, Tensor], *, size: tuple[int, int], stereo: bool
) -> tuple[DepthNetwork, DepthSpec]:
    """From the tensors of both files; `stereo` says whether training knew metres.

    CheckpointError where the weights are not of that layout.
    """
    ours = rename(weights, (*_ENCODER_RULES, *_DECODER_RULES), layout=LAYOUT)
    channels = [
        find(ours, f"decoder.reduce.{level}.0.bias", layout=LAYOUT).shape[0] for level in range(5)
    ]
    unit = FOCAL_WIDTHS * TRAINED_BASELINE
    try:
        spec = DepthSpec(
            backbone=BackboneSpec(name_resnet(weights, "encoder.")),
            input_size=size,
            mean=(0.45, 0.45, 0.45),
            std=(0.225, 0.225, 0.225),
            decoder_channels=(channels[0], channels[1], channels[2], channels[3], channels[4]),
            upsampling="nearest",
            padding="reflect",
            views=1,
            min_disparity=unit / FARTHEST,
            max_disparity=unit / NEAREST,
            focal_px=FOCAL_WIDTHS * size[1],
            baseline_m=KITTI_BASELINE_M if stereo else None,
        )
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    network = DepthNetwork(spec)
    check_fit(network.state_dict(), ours, layout=LAYOUT)
    network.load_state_dict(ours)
    return network.eval().requires_grad_(False), spec


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path.parent} lacks {path.name}: it is no {LAYOUT}")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(
            f"{path} cannot be read as tensors alone: {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(found, Mapping):
        raise CheckpointError(f"{path} holds a {type(found).__name__}, not named tensors")
    strangers = [
        str(k) for k, v in found.items() if not isinstance(v, Tensor) and k not in _SETTINGS
    ]
    if strangers:
        raise CheckpointError(f"{path} holds other things than tensors: {strangers[:4]}")
    return {str(name): value for name, value in found.items()}
