"""The most that the machine could do: decode and run on every core, without HTTP or a queue.

In a process of its own, which computes for as long as a line on its standard input says:

    python -m benchmarks.ceiling picture.jpg bundle-folder
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

import onnxruntime as ort

from benchmarks.process import ROOT
from service.bundle import read_bundle
from service.imaging import ImageLimits, load
from service.tasks.task import fit_of

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
def ceiling(picture: Path, bundle: Path) -> Iterator[CeilingProcess]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ceiling", str(picture), str(bundle)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            yield CeilingProcess(process)
        finally:
            process.terminate()


class _Work:
    """The server's own decoding, and one session that all threads share."""

    def __init__(self, picture: Path, folder: Path) -> None:
        bundle = read_bundle(folder)
        (graph,) = bundle.manifest.graphs.values()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(str(bundle.file(graph.file)), options)
        self._fit = fit_of(bundle.manifest)
        self._jpeg = picture.read_bytes()
        self._limits = ImageLimits()
        self._threads = len(os.sched_getaffinity(0))

    def window(self, seconds: float) -> Ceiling:
        counts = [0] * self._threads
        ends = time.perf_counter() + seconds

        def compute(index: int) -> None:
            while time.perf_counter() < ends:
                pixels, *_ = load(self._jpeg, self._limits, self._fit)
                self._session.run(None, {"image": pixels[None]})
                counts[index] += 1

        cpu_s, started = time.process_time(), time.perf_counter()
        threads = [threading.Thread(target=compute, args=(i,)) for i in range(self._threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.perf_counter() - started
        cpu_s = time.process_time() - cpu_s
        total = sum(counts)
        return Ceiling(total / took_s, cpu_s / max(total, 1) * 1e6, self._threads)


def main(picture: str, folder: str) -> None:
    work = _Work(Path(picture), Path(folder))
    work.window(WARM_UP_S)
    for line in sys.stdin:
        print(json.dumps(dataclasses.asdict(work.window(float(line)))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
