"""Where and of what a measurement was taken."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.process import ROOT

PACKAGES = (
    *("fastapi", "httptools", "numpy", "onnxruntime", "pillow", "simplejpeg", "starlette"),
    *("uvicorn", "uvloop"),
)


@dataclass(frozen=True)
class Machine:
    processor: str
    cores: int
    memory_gb: float
    system: str
    load_1min: float
    """The load average before the run: what else the machine was doing."""

    @property
    def slug(self) -> str:
        """For a file's name."""
        return re.sub(r"[^a-z0-9]+", "-", f"{self.processor}-{self.cores}-cores".lower()).strip("-")


@dataclass(frozen=True)
class Code:
    commit: str
    modified: bool
    """Whether files of the server differed from the commit."""
    python: str
    versions: dict[str, str] = field(default_factory=dict)


def this_machine() -> Machine:
    memory = re.search(r"MemTotal: +(\d+)", _read("/proc/meminfo"))
    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(int(memory[1]) / 1e6, 1) if memory else 0.0,
        system=f"{platform.system()} {platform.release()}",
        load_1min=round(os.getloadavg()[0], 2),
    )


def this_code() -> Code:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "absent"
    return Code(
        commit=_git("rev-parse", "--short=12", "HEAD"),
        modified=bool(_git("status", "--porcelain", "--", "service")),
        python=platform.python_version(),
        versions=versions,
    )


def _processor() -> str:
    model = re.search(r"model name\s*: (.+)", _read("/proc/cpuinfo"))
    return model[1].strip() if model else platform.machine()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
