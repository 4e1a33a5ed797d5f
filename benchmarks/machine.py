"""Where and of what a measurement was taken."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.process import ROOT

PACKAGES = (
    *("fastapi", "httptools", "numpy", "onnxruntime", "pillow", "simplejpeg", "starlette"),
    *("uvicorn", "uvloop"),
)


SAMPLE_S = 1.5
_STEAL = 7


@dataclass(frozen=True)
class Machine:
    processor: str
    cores: int
    memory_gb: float
    system: str
    busy_cores: float
    """What others used of the processor, just before the run."""

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
        busy_cores=busy_cores(),
    )


def busy_cores() -> float:
    """What the machine does while this process sleeps for a moment."""
    before = _busy_ticks()
    time.sleep(SAMPLE_S)
    return round((_busy_ticks() - before) / os.sysconf("SC_CLK_TCK") / SAMPLE_S, 2)


class Stolen:
    """What the host gives to others of a virtual machine's cores, from when this was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._before = _ticks()[_STEAL]

    def share(self) -> float:
        """Of all cores until now; 0 where the host does not tell."""
        seconds = (_ticks()[_STEAL] - self._before) / os.sysconf("SC_CLK_TCK")
        return seconds / (time.perf_counter() - self._started) / (os.cpu_count() or 1)


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


def _busy_ticks() -> int:
    """Of all cores since the start, but for idling and waiting for a disk."""
    user, nice, system, _idle, _iowait, *rest = _ticks()
    return sum((user, nice, system, *rest))


def _ticks() -> list[int]:
    """user, nice, system, idle, iowait, irq, softirq and steal, since the start."""
    return [int(field) for field in _read("/proc/stat").split("\n")[0].split()[1:9]]


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
