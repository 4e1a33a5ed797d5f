import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from models.clip.task import ClipTask
from models.training.checkpoint import read_checkpoint
from models.training.task import Share
from models.training.trainer import Trainer
from tests.models.clip.run_tiny import RECIPE
from tests.models.clip.tiny import square_captions

SCRIPT = Path(__file__).with_name("run_tiny.py")


class Joined:
    """The batches that two processes get, as one."""

    def __init__(self, task: ClipTask) -> None:
        self._data = task.data
        self.description = ""

    def __len__(self) -> int:
        return len(self._data)

    def batch(self, step: int, share: Share) -> dict[str, torch.Tensor]:
        parts = [self._data.batch(step, Share(index, 2)) for index in range(2)]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def test_two_processes_train_like_one_on_the_joined_batch(tmp_path: Path) -> None:
    task = ClipTask(RECIPE, square_captions(64, 0), square_captions(24, 1))
    task.data = Joined(task)  # type: ignore[assignment] # which draws as two do
    Trainer(task, replace(RECIPE.training), tmp_path / "one", document={}).run()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*torchrun, str(SCRIPT), str(tmp_path / "two")],
        env=os.environ
        | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(SCRIPT.parents[3]),
            "CUDA_VISIBLE_DEVICES": "",
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    one, one_document = read_checkpoint(tmp_path / "one" / "last")
    two, two_document = read_checkpoint(tmp_path / "two" / "last")
    for name, weights in one.items():
        torch.testing.assert_close(two[name], weights, rtol=1e-3, atol=2e-5)
    assert one_document["metrics"] == two_document["metrics"]
