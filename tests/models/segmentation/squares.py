"""Filled squares before a wall on a floor: segments that can be read back from the pixels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from models.data.panoptic import ArraySegments
from models.segmentation.recipe import PanopticSplit, SegmenterRecipe
from models.segmentation.spec import SegmenterSpec
from models.training.plain import from_plain

NAMES, IS_THING = ("floor", "wall", "red", "green"), (False, False, True, True)
SIZE = (64, 64)
_COLOURS = np.array([[70, 60, 50], [150, 150, 160], [230, 20, 20], [20, 210, 20]], np.uint8)


def square_scenes(count: int, seed: int) -> ArraySegments:
    """Images of 64 px; every one has a wall, a floor and one to three squares, none on another."""
    draw = torch.Generator().manual_seed(seed)
    classes = np.zeros((count, *SIZE), np.uint8)
    instances = np.zeros((count, *SIZE), np.uint8)
    for image in range(count):
        classes[image, : int(torch.randint(20, 40, (1,), generator=draw))] = 1
        for place in range(int(torch.randint(1, 4, (1,), generator=draw))):
            side, down = torch.randint(12, 20, (2,), generator=draw).tolist()
            y = int(torch.randint(0, 64 - side, (1,), generator=draw))
            x = place * 21 + down % 3
            classes[image, y : y + side, x : x + side] = 2 + down % 2
            instances[image, y : y + side, x : x + side] = place + 1
    return ArraySegments(
        _COLOURS[classes], instances, classes, NAMES, IS_THING, f"{count} images of squares"
    )


def write_panoptic(folder: Path, scenes: ArraySegments) -> PanopticSplit:
    """The same scenes as files in COCO's panoptic format."""
    size = (64, 64)
    whole = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
    for name in ("images", "segments"):
        (folder / name).mkdir(parents=True)
    annotations = []
    for index in range(len(scenes)):
        truth = scenes.truth(index)
        (pixels,) = scenes.read(torch.tensor([index]), size, whole)
        file = f"{index}.png"
        Image.fromarray(pixels.numpy()).save(folder / "images" / file)
        ids = np.stack([truth.numbers.numpy() + 1] + [np.zeros(size)] * 2, -1)
        Image.fromarray(ids.astype(np.uint8)).save(folder / "segments" / file)
        infos = [
            {"id": place + 1, "category_id": label + 10}
            for place, label in enumerate(truth.labels.tolist())
        ]
        annotations.append({"image_id": index, "file_name": file, "segments_info": infos})
    document = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": 64, "height": 64}
            for i in range(len(scenes))
        ],
        "categories": [
            {"id": label + 10, "name": name, "isthing": int(thing)}
            for label, (name, thing) in enumerate(zip(NAMES, IS_THING, strict=True))
        ],
        "annotations": annotations,
    }
    (folder / "panoptic.json").write_text(json.dumps(document))
    return PanopticSplit(
        str(folder / "images"), str(folder / "panoptic.json"), str(folder / "segments")
    )


def plain_network(**changes: Any) -> dict[str, Any]:
    """A network of some ten thousand parameters."""
    return {
        "backbone": {
            "name": "resnet10t",
            "kwargs": {"channels": [8, 16, 24, 32], "stem_width": 8},
        },
        "input_size": list(SIZE),
        "mean": [0.5, 0.5, 0.5],
        "std": [0.25, 0.25, 0.25],
        "width": 32,
        "mask_width": 16,
        "heads": 4,
        "norm_groups": 8,
        "encoder_layers": 1,
        "encoder_feedforward": 32,
        "decoder_layers": 3,
        "decoder_feedforward": 32,
        "queries": 8,
        **changes,
    }


def tiny_spec(**changes: Any) -> SegmenterSpec:
    plain = {**plain_network(**changes), "labels": NAMES, "is_thing": IS_THING}
    return from_plain(SegmenterSpec, plain, "network")


def tiny_recipe(*, network: dict[str, Any] | None = None, **training: Any) -> SegmenterRecipe:
    return from_plain(
        SegmenterRecipe,
        {
            "name": "squares",
            "network": network or plain_network(),
            "loss": {"points": 256},
            "augment": {"zoom": [0.9, 1.1], "shift": 0.05, "sharpness": 0.0},
            "data": {"world": {}},  # not opened: tests hand over scenes
            "training": {
                "batch_size": 4,
                "steps": 100,
                "optimizer": {"name": "adamw", "lr": 3e-3, "weight_decay": 0.01},
                "schedule": {"name": "one-cycle", "warmup": 0.1},
                "clip_norm": 5.0,
                "ema_decay": 0.0,
                "validate_every": 0,
                "save_every": 0,
                **training,
            },
        },
    )
