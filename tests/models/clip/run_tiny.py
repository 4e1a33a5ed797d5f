"""A script for torchrun: train the tiny CLIP on as many processes as it is given."""

import sys
from pathlib import Path

import torch

from models.clip.task import ClipTask
from models.training.optimizers import OptimizerSpec
from models.training.trainer import Trainer
from tests.models.clip.tiny import square_captions, tiny_recipe

# Not Adam: it makes whole steps of the rounding errors where a gradient is zero, as in the bias of
# keys.
RECIPE = tiny_recipe(steps=4, optimizer=OptimizerSpec("sgd", lr=0.05, momentum=0.9))


def main(folder: Path) -> None:
    task = ClipTask(RECIPE, square_captions(64, 0), square_captions(24, 1))
    Trainer(task, RECIPE.training, folder, document={}).run()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
