"""Four classes that a tiny network learns in seconds: stripes of two directions and colours."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from models.classification.augment import NO_AUGMENT
from models.classification.recipe import ClassifierRecipe, DataSpec, FolderData, NetworkSpec
from models.data.labelled import ArrayImages
from models.training.optimizers import OptimizerSpec
from models.training.recipe import TrainingSpec

NAMES = ("blue across", "blue down", "red across", "red down")
SIZE = (32, 32)
NETWORK = NetworkSpec(
    "resnet10t", kwargs={"channels": [8, 16, 24, 32], "stem_width": 8}, input_size=SIZE
)


def draw_stripes(count: int, seed: int, size: tuple[int, int] = SIZE) -> tuple[Tensor, Tensor]:
    """Images uint8 [N, H, W, 3] and labels int64 [N], the classes in turn."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    labels = torch.arange(count) % 4
    images = torch.randint(0, 90, (count, height, width, 3), generator=generator)
    for image, label in zip(images, labels.tolist(), strict=True):
        phase = int(torch.randint(0, 6, (1,), generator=generator))
        rows = (torch.arange(height) + phase) // 3 % 2
        columns = (torch.arange(width) + phase) // 3 % 2
        mask = columns.expand(height, width) if label % 2 else rows[:, None].expand(height, width)
        image[..., 0 if label >= 2 else 2] += 150 * mask
    return images.to(torch.uint8), labels


def striped_images(count: int, seed: int) -> ArrayImages:
    images, labels = draw_stripes(count, seed)
    return ArrayImages(images.numpy(), labels, NAMES, f"{count} stripes")


def striped_recipe(**changes: object) -> ClassifierRecipe:
    training = TrainingSpec(
        batch_size=32,
        steps=50,
        optimizer=OptimizerSpec("adamw", lr=1e-2),
        ema_decay=0.9,
        validate_every=0,
        save_every=0,
    )
    settings: dict[str, object] = {
        "name": "stripes",
        "network": NETWORK,
        "data": DataSpec(folder=FolderData("nowhere")),
        "training": training,
        "augment": NO_AUGMENT,
    }
    return ClassifierRecipe(**{**settings, **changes})


def write_striped_folder(root: Path, counts: dict[str, int]) -> None:
    """Real JPEG files, root/split/class/n.jpg, wider than high."""
    for seed, (split, count) in enumerate(counts.items()):
        images, labels = draw_stripes(count, seed, (40, 56))
        for number, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
            folder = root / split / NAMES[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.numpy()).save(folder / f"{number}.jpg", quality=92)
