"""Milliseconds from a JPEG's bytes to a model's input, by several decoders, on one and two threads.

    python -m benchmarks.decode [photograph.jpg]

Without a photograph it takes the one of the server's benchmark: 640×480, about 70 KB. Each figure
is the best of several windows, taken in turns so that a busy moment hits all alike.
"""

from __future__ import annotations

import io
import math
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import PIL
import simplejpeg
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.picture import picture_jpeg
from service.bundle import Fit
from service.imaging import ImageLimits, load

WINDOWS, WINDOW_S = 8, 0.2
SIDES = (64, 224)
BILINEAR = Image.Resampling.BILINEAR


def pillow(data: bytes, spec: Fit, *, draft: bool) -> None:
    size = spec.width, spec.height
    with Image.open(io.BytesIO(data)) as image:
        if draft:
            image.draft("RGB", size)
        np.asarray(image.convert("RGB").resize(size, BILINEAR))


def simplejpeg_full(data: bytes, spec: Fit) -> None:
    image = Image.fromarray(simplejpeg.decode_jpeg(data))
    np.asarray(image.resize((spec.width, spec.height), BILINEAR))


def ms_per_image(work: Callable[[], object], threads: int) -> float:
    """Wall time of one window over all images of all threads."""
    done = [0] * threads
    start = time.perf_counter()
    end = start + WINDOW_S

    def loop(thread: int) -> None:
        while time.perf_counter() < end:
            work()
            done[thread] += 1

    workers = [threading.Thread(target=loop, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (time.perf_counter() - start) / sum(done) * 1e3


def machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}"


def main() -> None:
    data = Path(sys.argv[1]).read_bytes() if len(sys.argv) > 1 else picture_jpeg()
    limits = ImageLimits()
    decoders: dict[str, Callable[[Fit], object]] = {
        "Pillow": lambda spec: pillow(data, spec, draft=False),
        "Pillow, draft mode": lambda spec: pillow(data, spec, draft=True),
        "simplejpeg, full": lambda spec: simplejpeg_full(data, spec),
        "service.imaging.load": lambda spec: load(data, limits, spec),
    }
    with Image.open(io.BytesIO(data)) as image:
        size = f"{image.width}×{image.height}"
    table = Table(title=f"ms per image: {size} JPEG of {len(data) // 1000} KB to N×N, bilinear")
    table.add_column("decoder", no_wrap=True)
    for side in SIDES:
        for count in ("1 thread", "2 threads"):
            table.add_column(f"{side}, {count}", justify="right", no_wrap=True)
    columns = [(side, threads) for side in SIDES for threads in (1, 2)]
    best: dict[tuple[str, int, int], float] = {}
    for _ in range(WINDOWS):
        for name, decoder in decoders.items():
            for side, threads in columns:
                work = partial(decoder, Fit(mode="stretch", height=side, width=side))
                cell = name, side, threads
                best[cell] = min(best.get(cell, math.inf), ms_per_image(work, threads))
    for name in decoders:
        table.add_row(name, *(f"{best[name, *column]:.2f}" for column in columns))
    console = Console(width=100)
    console.print(table)
    console.print(f"{machine()}; Pillow {PIL.__version__}")


if __name__ == "__main__":
    main()
