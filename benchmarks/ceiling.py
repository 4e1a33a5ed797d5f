"""The most that the machine could do: make inputs and run on every core, without HTTP or a queue.

In a process of its own, which computes for as long as a line on its standard input says:

    python -m benchmarks.ceiling picture.jpg bundle-folder role
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import ROOT
from benchmarks.work import Work, body_of, work_of
from service.bundle import read_bundle

WARM_UP_S = 0.5


@dataclass(frozen=True)
class Ceiling:
    """One window of it."""

    samples_per_s: float
    cpu_us: float
    """A sample, over all threads."""
    threads: int


class CeilingProcess:
    """Idle until it is asked for a window."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def window(self, seconds: float) -> Ceiling:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return Ceiling(**json.loads(self._process.stdout.readline()))


@contextlib.contextmanager
def ceiling(picture: Path, bundle: Path, role: str) -> Iterator[CeilingProcess]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ceiling", str(picture), str(bundle), role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            yield CeilingProcess(process)
        finally:
            process.terminate()


def _window(work: Work, body: bytes, seconds: float) -> Ceiling:
    threads_max = len(os.sched_getaffinity(0))
    counts = [0] * threads_max
    ends = time.perf_counter() + seconds

    def compute(index: int) -> None:
        while time.perf_counter() < ends:
            work(body)
            counts[index] += 1

    cpu_s, started = time.process_time(), time.perf_counter()
    threads = [threading.Thread(target=compute, args=(i,)) for i in range(threads_max)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.perf_counter() - started
    cpu_s = time.process_time() - cpu_s
    total = sum(counts)
    return Ceiling(total / took_s, cpu_s / max(total, 1) * 1e6, threads_max)


def main(picture: str, folder: str, role: str) -> None:
    work = work_of(read_bundle(Path(folder)), role)
    body = body_of(role, Path(picture).read_bytes())
    _window(work, body, WARM_UP_S)
    for line in sys.stdin:
        print(json.dumps(dataclasses.asdict(_window(work, body, float(line)))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
