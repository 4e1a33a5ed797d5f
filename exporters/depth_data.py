"""The stereo pairs that an exported depth network is proven and measured on, and its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from exporters.errors import ExportError
from exporters.images import GOLDEN_REAL_IMAGES, Pixels
from exporters.session import CpuSession
from exporters.unseen import draw, recipe_data
from models.data.stereo import StereoPairs
from models.depth import DepthSpec
from models.depth.data import open_pairs
from models.depth.estimating import Figures, estimate_all
from models.depth.recipe import DataSpec
from models.training.task import Place

KEPT: Final = ("abs_rel", "rmse", "d1")
"""Of Eigen's figures those that a bundle tells, each by up to three cameras."""


@dataclass(frozen=True)
class UnseenPairs:
    """Some pairs of a set that no training has seen."""

    pairs: StereoPairs
    indices: Tensor  # int64 [N]
    description: str

    def pixels(self, spec: DepthSpec) -> Pixels:
        """A few left views as the network sees them: uint8 [N, H, W, 3]."""
        left, _ = self.pairs.read(self.indices[:GOLDEN_REAL_IMAGES], spec.input_size)
        pixels: Pixels = left.numpy()
        return pixels


def read_unseen_pairs(
    spec: DepthSpec, metadata: Mapping[str, Any], *, count: int, progress: bool = False
) -> UnseenPairs:
    """At most `count` pairs of the test split of what trained the network."""
    data = recipe_data(DataSpec, metadata)
    if data.world is not None:
        # The first scenes of a world are the same however many there are.
        data = DataSpec(world=replace(data.world, test=count))
    return draw_pairs(data, count=count, progress=progress)


def draw_pairs(data: DataSpec, *, count: int, progress: bool = False) -> UnseenPairs:
    """At most `count` pairs of the test split."""
    try:
        pairs = open_pairs(data, "test", progress=progress)
    except (ValueError, OSError) as error:
        raise ExportError(f"the test pairs cannot be read: {error}") from error
    return UnseenPairs(pairs, *draw(len(pairs), count, pairs.description))


def measure_depth(
    graph: Path, spec: DepthSpec, unseen: UnseenPairs, factor: float
) -> dict[str, float]:
    """The figures of a graph that answers `factor` divided by disparity, run by ONNX Runtime.

    Bare names are by each pair's own cameras, `spec_` by the spec's, which is what a server says,
    and `scaled_` with the median of each image made right.
    """
    if not unseen.pairs.has_depth:
        raise ExportError(f"{unseen.description}: the depth is not known")
    figures = Figures.zero()
    network = _Disparity(graph, factor)
    for estimate in estimate_all(
        network, spec, unseen.pairs, Place(torch.device("cpu")), unseen.indices
    ):
        figures.add(estimate, spec)
    named = figures.named(Place(torch.device("cpu")))
    return {name: value for name, value in named.items() if is_told(name)}


def is_told(figure: str) -> bool:
    """Whether a bundle tells a figure of this name."""
    return figure.removeprefix("spec_").removeprefix("scaled_") in KEPT


class _Disparity(nn.Module):
    """A graph in the place of the network that it was made from."""

    def __init__(self, graph: Path, factor: float) -> None:
        super().__init__()
        self._session = CpuSession(graph)
        self._factor = factor

    def forward(self, image: Tensor) -> Tensor:
        """uint8 [B, H, W, 3] -> [B, H, W], as fractions of the width"""
        return self._factor / torch.from_numpy(self._session.run({"image": image.numpy()})["depth"])
