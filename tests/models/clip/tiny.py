"""A CLIP so small that a test trains it: a coloured square, left or right, on grey."""

from dataclasses import replace

import torch

from models.backbones.spec import BackboneSpec
from models.clip.contrasts import ContrastSpec
from models.clip.recipe import (
    ClipRecipe,
    DataSpec,
    NetworkSpec,
    PairsData,
    TextTowerSpec,
    WordingSpec,
)
from models.clip.spec import ImageSpec
from models.data.captioned import ArrayCaptions
from models.training.optimizers import OptimizerSpec
from models.training.recipe import TrainingSpec

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 60, 230)}
SIZE_PX = 32

TINY_VIT = BackboneSpec(
    "vit_tiny_patch16_224", {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
)
TINY_CNN = BackboneSpec("resnet10t", {"channels": [8, 16, 24, 32], "stem_width": 8})


def square_captions(count: int, seed: int) -> ArrayCaptions:
    """A square of one colour on one side: "a red square on the left"."""
    generator = torch.Generator().manual_seed(seed)
    names = list(COLOURS)
    images = torch.full((count, SIZE_PX, SIZE_PX, 3), 128, dtype=torch.uint8)
    texts = []
    for image in images:
        colour, side = (int(torch.randint(n, (), generator=generator)) for n in (3, 2))
        row, column = torch.randint(2, 5, (2,), generator=generator).tolist()
        column += 14 * side
        pixels = torch.tensor(COLOURS[names[colour]], dtype=torch.uint8)
        image[row : row + 12, column : column + 11] = pixels
        texts.append(f"a {names[colour]} square on the {('left', 'right')[side]}")
    return ArrayCaptions(images.numpy(), texts, f"{count} squares")


def tiny_recipe(*, image: ImageSpec | None = None, **training: object) -> ClipRecipe:
    spec = TrainingSpec(
        batch_size=16,
        steps=60,
        optimizer=OptimizerSpec(lr=3e-3),
        ema_decay=0.0,
        validate_every=0,
        save_every=0,
    )
    return ClipRecipe(
        name="tiny",
        network=NetworkSpec(
            image=image or ImageSpec(backbone=TINY_VIT),
            text=TextTowerSpec(dim=32, layers=2, heads=2, length=16),
            embed_dim=16,
            input_size=(SIZE_PX, SIZE_PX),
            fit="stretch",
        ),
        data=DataSpec(pairs=PairsData("nowhere")),
        wording=WordingSpec(
            mirrored=0.5,
            sides=(("left", "right"),),
            contrasts=ContrastSpec((tuple(COLOURS), ("left", "right"))),
        ),
        training=replace(spec, **training),  # type: ignore[arg-type]
    )
