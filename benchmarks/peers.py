"""Other people's serving frameworks with the same model, where they are installed: LitServe."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contenders import Running, Subject
from benchmarks.process import free_port, serving
from service.load.request import json_base64
from service.tasks.task import fit_of


def installed(python: Path) -> bool:
    command = [str(python), "-c", "import importlib.util as u; exit(not u.find_spec('litserve'))"]
    return subprocess.run(command, check=False).returncode == 0


@contextlib.contextmanager
def litserve(python: Path, subject: Subject, logs: Path) -> Iterator[Running]:
    """With a worker, which is a process, for each core."""
    port = free_port()
    size_px = str(fit_of(subject.bundle.manifest).width)
    workers = str(len(os.sched_getaffinity(0)))
    command = [str(python), "-m", "benchmarks.litserve_app", str(subject.graph), size_px]
    command += [str(port), workers]
    with serving("LitServe", command, port, health="/health", log=logs / "litserve") as server:
        yield Running(server, json_base64(port, "/predict", subject.jpeg))
