"""The command of the training Job, run as two nodes that meet on this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.k8s.rendering import container, only, training

START_S = 250.0
TINY = """
name: tiny
network:
  backbone: resnet18
  kwargs: {channels: [8, 8, 8, 8], layers: [1, 1, 1, 1], stem_width: 8}
  input_size: [32, 32]
data:
  world: {train: 64, val: 16, test: 16, size_px: 32}
training: {batch_size: 16, steps: 2}
"""


def test_all_nodes_run_at_once_and_meet_at_the_first() -> None:
    job = only(training(), "Job", "panoptes-train")["spec"]
    command = dict(
        option.split("=", 1) for option in container({"spec": job})["command"] if "=" in option
    )
    assert job["completions"] == job["parallelism"] == int(command["--nnodes"])
    service = only(training(), "Service", "panoptes-train")
    assert job["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert command["--master-addr"] == "panoptes-train-0.panoptes-train"
    assert int(command["--master-port"]) == service["spec"]["ports"][0]["port"]
    assert service["spec"]["publishNotReadyAddresses"]


@pytest.mark.timeout(600)
def test_two_nodes_train_together_and_those_that_come_back_resume(tmp_path: Path) -> None:
    spec = tmp_path / "run/best/spec.json"
    train(tmp_path)
    assert "--resume" not in spec.read_text()  # it holds the command that made the checkpoint
    train(tmp_path)
    assert "--resume" in spec.read_text()


def train(folder: Path) -> None:
    """Every node to its end."""
    recipe = folder / "tiny.yaml"
    recipe.write_text(TINY)
    found = container(only(training(), "Job", "panoptes-train"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = []
    for index in (0, 1):
        changed = {
            "--node-rank=$(JOB_COMPLETION_INDEX)": f"--node-rank={index}",
            "--master-addr=panoptes-train-0.panoptes-train": "--master-addr=127.0.0.1",
            "--master-port=29500": f"--master-port={port}",
            "--max-restarts=3": "--max-restarts=0",
        }
        command = [changed.pop(part, part) for part in found["command"]]
        assert not changed  # every one was there
        script = [part.replace(" tabletop ", f" {recipe} ") for part in found["args"]]
        assert script != found["args"]
        with (folder / f"node-{index}.log").open("w") as log:
            node = subprocess.Popen(
                [*command, *script],
                env={
                    **os.environ,
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                    "RUN": str(folder / "run"),
                    "PANOPTES_CACHE": str(folder / "world"),
                    "OMP_NUM_THREADS": "1",
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        nodes.append(node)
    try:
        codes = [node.wait(START_S) for node in nodes]
    finally:
        for node in nodes:
            with contextlib.suppress(ProcessLookupError):  # torchrun and the process it started
                os.killpg(node.pid, signal.SIGKILL)
            node.wait()
    for index, code in enumerate(codes):
        assert code == 0, (folder / f"node-{index}.log").read_text()[-3000:]
