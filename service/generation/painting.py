"""One request's pictures through the engine: text, steps, image.

Each stage is jobs of a lane of its own, so that what many prompts need of one graph runs together,
whichever step they are at, and other models' jobs run in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.engine.forecast import Stage
from service.engine.job import Job, Priority, Timing
from service.generation.course import Course, OnEstimate
from service.generation.noise import Noise
from service.generation.order import Order
from service.generation.painter import Painter
from service.imaging import encode_png
from service.text import TextCache, TextCall, TextOutput

PRIORITY = Priority.LOW
"""A picture takes seconds anyway: what takes milliseconds goes first."""
PREVIEWS = 8

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Queued:
    """The request is admitted."""

    predicted_s: float
    """When it should be done, from now."""


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What the model takes a picture to be, after some of its steps."""

    index: int
    step: int
    file: bytes | None
    """None where the model has no preview."""


Listener = Callable[[Queued | Glimpse], None]
"""Called on the event loop."""


class Painting:
    """All pictures of one order. It belongs to the event loop.

    `write` makes a file of the pixels [H, W, 3] of one index, and `sketch` one of a preview's
    [h, w, 3]; both run on a worker's thread. Without a listener there are no previews.
    """

    def __init__(
        self,
        painter: Painter,
        order: Order,
        *,
        deadline: float,
        priority: Priority = PRIORITY,
        texts: TextCache,
        write: Callable[[int, Pixels], bytes],
        sketch: Callable[[Pixels], bytes] = encode_png,
        listener: Listener | None = None,
        preview_every: int | None = None,
    ) -> None:
        self.painter = painter
        self.order = order
        self.timings = [Timing() for _ in order.indices]
        self.run_s = dict.fromkeys(("text", "step", "decode"), 0.0)
        """In each graph, of the slowest picture."""
        self.prompt: TextOutput | None = None
        """What became of the prompt, once it was read."""
        self._deadline = deadline
        self._priority = priority
        self._texts = texts
        self._write = write
        self._sketch = sketch
        self._listener = listener
        self._told = False
        self._every = preview_every or -(-order.steps // PREVIEWS)

    async def paint(self) -> list[bytes]:
        """A file for each index, in order; raises what went wrong with any.

        Being cancelled takes the jobs out of their lanes.
        """
        order, decode = self.order, Stage(self.painter.lane("decode"), self.order.n)
        step = Stage(self.painter.lane("step"), order.n, order.steps)
        cond, uncond = await self._read(then=(step, decode))
        courses = [self._course(index, cond, uncond) for index in order.indices]
        latents = await self._run("step", [self._stepping(c) for c in courses], then=(decode,))
        decoding = [
            self._decoding(index, done) for index, done in zip(order.indices, latents, strict=True)
        ]
        return await self._run("decode", decoding, admitted=True)

    # -- the stages

    async def _read(self, then: Sequence[Stage]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The hidden states of the prompt and of what is to be kept away from, [T, D] each."""
        texts = (self.order.prompt, self.order.negative_prompt)
        known = {text: self._texts.get(self.painter.digest, text) for text in texts}
        missing = [text for text, output in known.items() if output is None]
        if missing:
            calls = [TextCall(self.painter.model, t, "hidden", self._texts) for t in missing]
            jobs = [self._job(prepare=call.prepare, finish=call.finish) for call in calls]
            known |= dict(zip(missing, await self._run("text", jobs, then=then), strict=True))
        cond, uncond = (known[text] for text in texts)
        assert cond is not None and uncond is not None
        self.prompt = cond
        return cond.values, uncond.values

    def _course(self, index: int, cond: NDArray[Any], uncond: NDArray[Any]) -> Course:
        painter, order = self.painter, self.order
        return Course(
            painter.plan(order.sampler, order.steps, order.eta),
            Noise(order.seed, index, painter.sizes.latents),
            cond=cond,
            uncond=uncond,
            guidance=order.guidance_scale,
            outputs=(painter.sizes.next_latents, painter.sizes.estimate),
            on_estimate=self._on_estimate(index),
            every=self._every,
        )

    def _stepping(self, course: Course) -> Job:
        return self._job(
            prepare=course.prepare,
            advance=course.advance,
            finish=course.finish,
            steps=course.steps,
        )

    def _decoding(self, index: int, latents: dict[str, Any]) -> Job:
        return self._job(
            prepare=lambda: latents,
            finish=lambda outputs: self._write(index, outputs["image"]),
        )

    def _job(self, **parts: Any) -> Job:
        return Job(deadline=self._deadline, priority=self._priority, **parts)

    async def _run(
        self,
        role: str,
        jobs: Sequence[Job],
        *,
        then: Sequence[Stage] = (),
        admitted: bool = False,
    ) -> list[Any]:
        lane, device = self.painter.lane(role), self.painter.model.device
        predicted_s = device.scheduler.wait_s(
            lane, len(jobs), jobs[0].steps, then=then, priority=self._priority
        )
        await device.run(
            lane,
            jobs,
            then=then,
            admitted=admitted,
            on_admitted=lambda: self._tell_queued(predicted_s),
        )
        self._count(role, jobs)
        return [job.outcome() for job in jobs]

    # -- what is told

    def _tell_queued(self, predicted_s: float) -> None:
        """Once: the later stages are part of what was admitted."""
        if self._listener is not None and not self._told:
            self._told = True
            self._listener(Queued(predicted_s))

    def _on_estimate(self, index: int) -> OnEstimate | None:
        if (listener := self._listener) is None:
            return None
        loop = asyncio.get_running_loop()
        preview, sketch = self.painter.preview, self._sketch

        def seen(step: int, estimate: NDArray[np.generic]) -> None:
            file = None if preview is None else sketch(preview(estimate))
            loop.call_soon_threadsafe(listener, Glimpse(index, step, file))

        return seen

    def _count(self, role: str, jobs: Sequence[Job]) -> None:
        """Add up where the time went; the texts were every picture's."""
        self.run_s[role] = max(job.timing.run_s for job in jobs)
        parts = [job.timing for job in jobs]
        if role == "text":
            parts = [max(parts, key=_total_s)] * len(self.timings)
        for whole, part in zip(self.timings, parts, strict=True):
            whole.queue_s += part.queue_s
            whole.prepare_s += part.prepare_s
            whole.run_s += part.run_s
            whole.finish_s += part.finish_s
            whole.largest_batch = max(whole.largest_batch, part.largest_batch)


def _total_s(timing: Timing) -> float:
    return timing.queue_s + timing.prepare_s + timing.run_s + timing.finish_s
