"""What /generate is compared with: the same graphs behind a server that batches whole requests.

python -m benchmarks.generation_rival <bundle> <most in a batch> <workers> <port> <device> <gpu>

A worker that is free takes what waits, at most so many, reads all prompts at once, and steps until
the slowest is done; nobody joins in between, and all are answered together at the end. Those that
are done earlier leave the computation, which most such servers do not even do. With one in a batch
it paints one picture after the other.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI, Response
from numpy.typing import NDArray
from pydantic import BaseModel

from service.bundle import Bundle, read_bundle
from service.generation import sizes_of
from service.generation.contract import DEFAULT_GUIDANCE, DEFAULT_SAMPLER
from service.generation.course import Course
from service.generation.noise import Noise
from service.imaging import encode_png
from service.sampling import plan, schedule_of
from service.text import Tokenizer

CUDA = "CUDAExecutionProvider"
Tensors = dict[str, NDArray[Any]]
Providers = Sequence[str | tuple[str, dict[str, str]]]


class Wish(BaseModel):
    prompt: str
    steps: int
    seed: int


@dataclass(eq=False)
class Waiting:
    wish: Wish
    answer: asyncio.Future[bytes]
    loop: asyncio.AbstractEventLoop


class Painter:
    """The graphs of one bundle, one thread each time that they are run."""

    def __init__(self, bundle: Bundle, providers: Providers = ("CPUExecutionProvider",)) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._sessions = {
            role: ort.InferenceSession(
                str(bundle.file(graph.file)), options, providers=list(providers)
            )
            for role, graph in bundle.manifest.graphs.items()
        }
        self._defaults = bundle.manifest.defaults
        self._sizes = sizes_of(bundle.manifest)
        self._schedule = schedule_of(self._defaults)
        self._tokenizer = Tokenizer.of(bundle)
        self.batches: list[int] = []
        """The size of every run of the step graph."""

    def paint(self, wishes: Sequence[Wish]) -> list[bytes]:
        courses = self._begin(wishes)
        inputs = [course.prepare() for course in courses]
        latents: list[NDArray[Any]] = [np.empty(0)] * len(wishes)
        going = list(range(len(wishes)))
        step = 0
        while going:
            step += 1
            outputs = self._run("step", **_stacked([inputs[i] for i in going]))
            self.batches.append(len(going))
            on = []
            for row, i in enumerate(going):
                sample = {name: value[row] for name, value in outputs.items()}
                if step < courses[i].steps:
                    inputs[i] = courses[i].advance(sample, step)
                    on.append(i)
                else:
                    latents[i] = courses[i].finish(sample)["latents"]
            going = on
        images = self._run("decode", latents=np.stack(latents))["image"]
        return [encode_png(pixels) for pixels in images]

    def stepping(self, wishes: Sequence[Wish]) -> Callable[[], object]:
        """The first step of them all, to be run over and over."""
        inputs = _stacked([course.prepare() for course in self._begin(wishes)])
        return lambda: self._run("step", **inputs)

    def _begin(self, wishes: Sequence[Wish]) -> list[Course]:
        tokens = self._tokenizer.encode(["", *(wish.prompt for wish in wishes)])
        uncond, *conds = self._run("text", tokens=tokens)["hidden"]
        return [self._course(w, cond, uncond) for w, cond in zip(wishes, conds, strict=True)]

    def _course(self, wish: Wish, cond: NDArray[Any], uncond: NDArray[Any]) -> Course:
        sampler = str(self._defaults.get("sampler", DEFAULT_SAMPLER))
        return Course(
            plan(sampler, self._schedule, wish.steps),
            Noise(wish.seed, 0, self._sizes.latents),
            cond=cond,
            uncond=uncond,
            guidance=float(self._defaults.get("guidance_scale", DEFAULT_GUIDANCE)),
            outputs=(self._sizes.next_latents, self._sizes.estimate),
            on_estimate=None,
            every=1,
        )

    def _run(self, role: str, **inputs: NDArray[Any]) -> Tensors:
        session = self._sessions[role]
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))


def providers_of(device: str, gpu: int) -> Providers:
    """ONNX Runtime's: on any GPU that of CUDA, where it has one."""
    if device == "cpu" or CUDA not in ort.get_available_providers():
        return ("CPUExecutionProvider",)
    ort.preload_dlls()
    return ((CUDA, {"device_id": str(gpu)}), "CPUExecutionProvider")


def _stacked(samples: Sequence[Mapping[str, NDArray[Any]]]) -> Tensors:
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}


def rival_app(painter: Painter, most: int, workers: int) -> FastAPI:
    app = FastAPI()
    waiting: queue.Queue[Waiting] = queue.Queue()

    def work() -> None:
        while True:
            batch = [waiting.get()]
            while len(batch) < most and not waiting.empty():
                try:
                    batch.append(waiting.get_nowait())
                except queue.Empty:
                    break
            files = painter.paint([each.wish for each in batch])
            for each, file in zip(batch, files, strict=True):
                each.loop.call_soon_threadsafe(each.answer.set_result, file)

    for _ in range(workers):
        threading.Thread(target=work, daemon=True).start()

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/batches")
    async def batches() -> dict[str, int]:
        return {"runs": len(painter.batches), "samples": sum(painter.batches)}

    @app.post("/generate")
    async def generate(wish: Wish) -> Response:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        waiting.put(Waiting(wish, answer, loop))
        return Response(await answer, media_type="image/png")

    return app


if __name__ == "__main__":
    folder, most, workers, port, device, gpu = sys.argv[1:]
    painter = Painter(read_bundle(Path(folder)), providers_of(device, int(gpu)))
    app = rival_app(painter, int(most), int(workers))
    uvicorn.run(app, port=int(port), access_log=False)
