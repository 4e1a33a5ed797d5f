"""Detectors that see something without having been trained."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from exporters.images import Pixels
from models.backbones import BackboneSpec
from models.detection import Candidates, DetectorSpec, build_detector
from models.detection.centernet.spec import CenterNetSpec
from models.detection.detr.spec import DETRSpec
from models.detection.fasterrcnn.spec import FasterRCNNSpec
from models.detection.retinanet.spec import RetinaNetSpec

SIZE = (64, 96)
CELL_PX = 8
LABELS = ("red", "green", "blue")


class CellSpec(DetectorSpec):
    family: ClassVar[str] = "cells"
    needs_nms: ClassVar[bool] = True


def cell_spec(**changed: Any) -> CellSpec:
    return CellSpec(labels=LABELS, backbone=BackboneSpec("none"), input_size=SIZE, **changed)


class CellDetector(nn.Module):
    """A candidate a cell of 8 x 8 pixels, for the colour that the cell's mean is nearest to.

    Its box reaches one cell further to the right and below, so that neighbours overlap.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(CELL_PX)
        self.weight = nn.Parameter(torch.eye(3) * 1.4 - 0.5)
        # So much that float16 is worth its while.
        self.ballast = nn.Linear(3, 512, bias=False)

    def forward(self, image: Tensor) -> Candidates:
        cells = self.pool(image.permute(0, 3, 1, 2).float() / 255)  # [B, 3, h, w]
        rows, columns = cells.shape[2:]
        colours = cells.flatten(2).transpose(1, 2)  # [B, N, 3]
        scores = (colours @ self.weight).clamp(0, 1) + 0 * self.ballast(colours).sum(-1, True)
        y = torch.arange(rows) * float(CELL_PX)
        x = torch.arange(columns) * float(CELL_PX)
        top, left = torch.meshgrid(y, x, indexing="ij")
        boxes = torch.stack([left, top, left + 2 * CELL_PX, top + 2 * CELL_PX], -1).flatten(0, 1)
        return Candidates(boxes.expand(image.shape[0], -1, -1), scores)


def patches(count: int, *, size: tuple[int, int] = SIZE, seed: int = 0) -> Pixels:
    """Grey images [N, H, W, 3] with a few cells of clear colours, no two equally bright."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.full((count, *size, 3), 90, dtype=torch.uint8)
    for image in images:
        for step in range(5):
            row = int(torch.randint(0, size[0] // CELL_PX - 1, (), generator=draw)) * CELL_PX
            column = int(torch.randint(0, size[1] // CELL_PX - 1, (), generator=draw)) * CELL_PX
            channel = int(torch.randint(0, 3, (), generator=draw))
            image[row : row + CELL_PX, column : column + CELL_PX] = 0
            image[row : row + CELL_PX, column : column + CELL_PX, channel] = 250 - 20 * step
    pixels: Pixels = images.numpy()
    return pixels


BACKBONE = BackboneSpec("resnet10t", {"channels": [8, 8, 8, 8], "stem_width": 8})
FAMILY_SPECS: dict[str, DetectorSpec] = {
    "centernet": CenterNetSpec(
        labels=LABELS, backbone=BACKBONE, input_size=SIZE, channels=16, head_channels=16
    ),
    "retinanet": RetinaNetSpec(
        labels=LABELS,
        backbone=BACKBONE,
        input_size=SIZE,
        channels=16,
        head_depth=1,
        extra_levels=0,
        anchor_sizes_px=((16,), (32,), (64,)),
    ),
    "fasterrcnn": FasterRCNNSpec(
        labels=LABELS,
        backbone=BACKBONE,
        input_size=SIZE,
        channels=16,
        anchor_sizes_px=((8,), (12,), (24,), (48,), (64,)),
        proposals_before_nms=40,
        proposals=30,
        head_width=32,
        candidates=50,
        sampled_regions=16,
    ),
    "detr": DETRSpec(
        labels=LABELS,
        backbone=BACKBONE,
        input_size=SIZE,
        width=32,
        heads=4,
        encoder_layers=1,
        decoder_layers=2,
        feedforward=64,
        queries=10,
    ),
}


def lively_detector(family: str) -> tuple[nn.Module, DetectorSpec]:
    """Random weights whose heads tell one place and one class from another."""
    spec = FAMILY_SPECS[family]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_detector(spec)
        for name, parameter in network.named_parameters():
            if (
                any(word in name for word in ("head", "classes", "objectness"))
                and parameter.dim() > 1
            ):
                nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5 * 1.5)
    return network.eval().requires_grad_(False), spec
