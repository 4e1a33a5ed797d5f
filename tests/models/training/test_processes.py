import os
import subprocess
import sys
from pathlib import Path

import torch

from models.training.checkpoint import read_checkpoint
from models.training.trainer import Trainer
from tests.models.training.regression import RegressionTask
from tests.models.training.run_regression import SPEC

SCRIPT = Path(__file__).with_name("run_regression.py")


def test_two_processes_train_like_one(tmp_path: Path) -> None:
    Trainer(RegressionTask(), SPEC, tmp_path / "one", document={}).run()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    root = str(SCRIPT.parents[3])
    done = subprocess.run(
        [*torchrun, str(SCRIPT), str(tmp_path / "two")],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr

    one, one_document = read_checkpoint(tmp_path / "one" / "last")
    two, two_document = read_checkpoint(tmp_path / "two" / "last")
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, rtol=1e-4, atol=1e-5)
    error = one_document["metrics"]["error"]
    assert abs(two_document["metrics"]["error"] - error) < 1e-4 * error
