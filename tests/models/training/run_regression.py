"""A script for torchrun: fit the line on as many processes as it is given."""

import sys
from pathlib import Path

import torch

from models.training.optimizers import OptimizerSpec
from models.training.recipe import TrainingSpec
from models.training.trainer import Trainer
from tests.models.training.regression import RegressionTask

SPEC = TrainingSpec(
    batch_size=16,
    steps=20,
    optimizer=OptimizerSpec("adamw", lr=1e-2),
    ema_decay=0.9,
    clip_norm=1.0,
    validate_every=10,
)

if __name__ == "__main__":
    torch.set_num_threads(1)
    Trainer(RegressionTask(), SPEC, Path(sys.argv[1]), document={}).run()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
