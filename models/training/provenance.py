"""Where weights come from: what a checkpoint says of the run that made it."""

import datetime as dt
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

_LIBRARIES = ("panoptes", "torch", "timm", "torchvision")


def describe_run(*, data: str, seed: int) -> dict[str, Any]:
    """The command, the commit, the data, the seed, the date, the machine and the libraries."""
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": _git_commit(),
        "data": data,
        "seed": seed,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _git_commit() -> str:
    """The commit of the source tree, `+` if it has changes, empty where there is none."""
    here = Path(__file__).parent
    try:
        answers = [
            subprocess.run(
                ["git", *arguments],
                cwd=here,
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        ]
    except (OSError, subprocess.SubprocessError):
        return ""
    commit, changes = answers
    return commit + ("+" if changes else "")


def _machine() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
