"""Other people's serving frameworks with the same model, where they are installed: LitServe.

python -m benchmarks.peers model.onnx 224 8001 2
"""

from __future__ import annotations

import contextlib
import functools
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contenders import Contender, Running, Subject
from benchmarks.process import free_port, serving
from service.load.request import json_base64
from service.tasks.task import fit_of

WORKERS = (1, 2)


def installed(python: Path) -> bool:
    command = [str(python), "-c", "import importlib.util as u; exit(not u.find_spec('litserve'))"]
    return subprocess.run(command, check=False).returncode == 0


def contenders(python: Path) -> list[Contender]:
    return [functools.partial(_litserve, python, workers) for workers in WORKERS]


@contextlib.contextmanager
def _litserve(python: Path, workers: int, subject: Subject, logs: Path) -> Iterator[Running]:
    port = free_port()
    name = f"LitServe, {workers} worker{'s' * (workers > 1)}"
    size_px = str(fit_of(subject.bundle.manifest).width)
    command = [str(python), "-m", "benchmarks.litserve_app", str(subject.graph), size_px]
    command += [str(port), str(workers)]
    log = logs / f"litserve-{workers}"
    with serving(name, command, port, health="/health", log=log) as server:
        yield Running(server, json_base64(port, "/predict", subject.jpeg))
