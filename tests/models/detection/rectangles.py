"""Filled rectangles on grey: boxes that can be read back from the pixels."""

from typing import Any

import torch
from torch import Tensor

from models.data.boxed import ArrayScenes
from models.detection.recipe import DetectorRecipe
from models.training.plain import from_plain

NAMES = ("red", "green", "blue")
SIZE = (64, 64)


def rectangle_arrays(count: int, seed: int, side_px: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Images [N, S, S, 3], boxes [N, 3, 4] and labels [N, 3]; every image has 0 to 3 rectangles,
    each of another colour and in a column of its own."""
    draw = torch.Generator().manual_seed(seed)
    images = torch.full((count, side_px, side_px, 3), 90, dtype=torch.uint8)
    boxes, labels = torch.zeros(count, 3, 4), torch.full((count, 3), -1)
    column = side_px // 3
    for image in range(count):
        colours = torch.randperm(3, generator=draw).tolist()
        for place in range(int(torch.randint(0, 4, (1,), generator=draw))):
            w, h = torch.randint(column // 2, column - 2, (2,), generator=draw).tolist()
            x = place * column + int(torch.randint(0, column - w, (1,), generator=draw))
            y = int(torch.randint(0, side_px - h, (1,), generator=draw))
            pixels = torch.zeros(3, dtype=torch.uint8)
            pixels[colours[place]] = 255
            images[image, y : y + h, x : x + w] = pixels
            boxes[image, place] = torch.tensor([x, y, x + w, y + h])
            labels[image, place] = colours[place]
    return images, boxes, labels


def rectangle_scenes(count: int, seed: int, side_px: int = 64) -> ArrayScenes:
    images, boxes, labels = rectangle_arrays(count, seed, side_px)
    return ArrayScenes(images.numpy(), boxes, labels, NAMES, f"{count} images of rectangles")


def plain_recipe(family: str = "centernet", **changes: Any) -> dict[str, Any]:
    """A network of a few thousand parameters that learns rectangles in seconds."""
    network: dict[str, Any] = {
        "backbone": {
            "name": "resnet10t",
            "kwargs": {"channels": [8, 16, 24, 32], "stem_width": 8},
        },
        "input_size": list(SIZE),
        "channels": 16,
        "norm": "batch",
    }
    if family == "centernet":
        network |= {"head_channels": 16}
        loss: dict[str, Any] = {"giou": 5.0, "offset": 0.0, "size": 0.0}
    else:
        network |= {"head_depth": 1, "extra_levels": 0, "strides": [4, 8]}
        network |= {"anchor_sizes_px": [[12, 16], [20, 26]], "anchor_aspects": [0.7, 1.4]}
        loss = {"box": "giou", "box_weight": 2.0}
    plain: dict[str, Any] = {
        "name": "rectangles",
        "family": family,
        "network": network,
        "loss": loss,
        "data": {"world": {}},
        "augment": {"zoom": [0.9, 1.1], "tint": 0.0, "saturation": 0.0, "sharpness": 0.0},
        "training": {
            "batch_size": 16,
            "steps": 120,
            "optimizer": {"lr": 1.0e-2},
            "schedule": {"name": "one-cycle", "warmup": 0.2},
            "ema_decay": 0.9,
            "validate_every": 0,
            "save_every": 0,
        },
    }
    return {**plain, **changes}


def rectangle_recipe(family: str = "centernet", **changes: Any) -> DetectorRecipe:
    return from_plain(DetectorRecipe, plain_recipe(family, **changes))
