"""Stereo pairs of textured floors that are red where near and blue where far."""

import torch
from torch import Tensor

from models.backbones.spec import BackboneSpec
from models.data.stereo import ArrayPairs
from models.depth.losses import MonodepthLossSpec
from models.depth.recipe import DataSpec, DepthRecipe, FolderData
from models.depth.spec import DepthSpec
from models.training.optimizers import OptimizerSpec
from models.training.recipe import TrainingSpec

SIZE = (64, 64)
FOCAL_PX, BASELINE_M = 64.0, 0.25
DISPARITIES_PX = {"red": 8, "blue": 3}


def floor_arrays(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Left, right uint8 [N, 64, 64, 3] and depth float [N, 64, 64]: one colour above the other."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, 16, 24, generator=generator)
    texture = torch.nn.functional.interpolate(coarse, (64, 80), mode="bicubic").clamp(0, 1)
    texture = (60 + 160 * texture[:, 0]).to(torch.uint8)  # [N, 64, 80]
    left, right = torch.zeros(2, count, *SIZE, 3, dtype=torch.uint8)
    depth = torch.empty(count, *SIZE)
    for i in range(count):
        border = 16 * int(torch.randint(1, 4, (), generator=generator))
        red_above = bool(torch.rand((), generator=generator) < 0.5)
        for name, rows in (("red", slice(0, border)), ("blue", slice(border, 64))):
            name = name if red_above else {"red": "blue", "blue": "red"}[name]
            channel, d = (0 if name == "red" else 2), DISPARITIES_PX[name]
            left[i, rows, :, channel] = texture[i, rows, :64]
            right[i, rows, :, channel] = texture[i, rows, d : 64 + d]
            depth[i, rows] = FOCAL_PX * BASELINE_M / d
    return left, right, depth


def floor_pairs(count: int, seed: int, *, depth: bool = True, cameras: bool = True) -> ArrayPairs:
    left, right, true = floor_arrays(count, seed)
    known = torch.tensor([FOCAL_PX, 32.0, 32.0, BASELINE_M]).expand(count, 4)
    return ArrayPairs(left, right, known if cameras else None, true if depth else None, "floors")


def tiny_spec(**changes: object) -> DepthSpec:
    settings: dict[str, object] = {
        "backbone": BackboneSpec("resnet10t", {"channels": [8, 16, 24, 32], "stem_width": 8}),
        "input_size": SIZE,
        "decoder_channels": (8, 8, 16, 16, 24),
    }
    return DepthSpec(**{**settings, **changes})  # type: ignore[arg-type]


def floor_recipe(**changes: object) -> DepthRecipe:
    settings: dict[str, object] = {
        "name": "floors",
        "network": tiny_spec(finest_stride=2, max_disparity=0.2),
        "data": DataSpec(folder=FolderData("unused")),
        "loss": MonodepthLossSpec(),
        "training": TrainingSpec(
            batch_size=8,
            steps=40,
            optimizer=OptimizerSpec("adamw", lr=5e-3),
            ema_decay=0.8,
            validate_every=0,
            save_every=0,
            log_every=10,
        ),
    }
    return DepthRecipe(**{**settings, **changes})  # type: ignore[arg-type]
