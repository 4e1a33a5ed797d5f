"""Both towers of one model for one request: what is known of a text is not asked again.

L labels, D numbers of a vector.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from starlette.types import Scope

from service.engine.forecast import Stage
from service.engine.job import Job, Timing
from service.engine.lane import Lane
from service.engine.model import Model
from service.protocols.serving import Serving, Terms, run_while_connected, while_connected
from service.tasks.embed import IMAGE_ROLE, OUTPUT, ImageEmbeddingCall, Kind, Vector
from service.tasks.zero_shot import join_templates, prompts_of
from service.text import TextCall, TextOutput
from service.text.tokenizer import TEXT_ROLE

TRUNCATED = {"x-text-truncated": "true"}
"""A header of the answer, where some text was longer than the model reads."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What became of one input: its vector [D], or an error in its place."""

    kind: Kind
    vector: Vector | None
    error: Exception | None = None
    tokens: int = 0
    truncated: bool = False

    def value(self) -> Vector:
        """The vector, or raises the error."""
        if self.vector is None:
            assert self.error is not None
            raise self.error
        return self.vector


class Vectors(list[Embedded]):
    """Of one request's inputs, in the order sent."""

    @property
    def headers(self) -> Mapping[str, str]:
        return TRUNCATED if any(each.truncated for each in self) else {}

    def raise_if_none(self) -> None:
        """Among several an input fails alone; if all do, the request does."""
        if all(each.vector is None for each in self):
            self[0].value()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run for the inputs of a request."""

    inputs: Sequence[bytes | str]
    images: Sequence[Job]
    known: Mapping[str, TextOutput]
    asked: Mapping[str, Job]

    @property
    def texts(self) -> Sequence[Job]:
        return list(self.asked.values())

    def vectors(self) -> Vectors:
        """When all of it has run."""
        of_image = iter(self.images)
        return Vectors(
            _of_text(self.known.get(each) or self.asked[each])
            if isinstance(each, str)
            else _of_image(next(of_image))
            for each in self.inputs
        )


class Towers:
    """Belongs to one request, which holds the model."""

    def __init__(self, serving: Serving, model: Model, terms: Terms, scope: Scope) -> None:
        self._serving = serving
        self._cache = serving.texts
        self._model = model
        self._terms = terms
        self._scope = scope
        self.timings: list[Timing] = []
        """Of every job that ran."""

    async def embed(self, inputs: Sequence[bytes | str]) -> Vectors:
        plan = self.plan(inputs)
        await self._run(plan.images, plan.texts)
        return plan.vectors()

    def plan(self, inputs: Sequence[bytes | str]) -> Plan:
        known, asked = self._look_up([each for each in inputs if isinstance(each, str)])
        images = [self._image_job(each) for each in inputs if isinstance(each, bytes)]
        return Plan(inputs, images, known, asked)

    async def labels(
        self, labels: Sequence[str], templates: Sequence[str], then: Stage
    ) -> tuple[TextOutput, bool]:
        """A vector for every label [L, D], and whether `then`, what these are wanted for, was
        admitted with their texts; if they are known already it was not."""
        key = (tuple(labels), tuple(templates))
        if (found := self._cache.get(self._model.bundle.digest, key)) is not None:
            return found, False
        prompts = prompts_of(labels, templates)
        known, asked = self._look_up(prompts)
        lane = self._model.lanes[TEXT_ROLE]
        for jobs in _portions(list(asked.values()), lane.capacity):
            await run_while_connected(self._model.device, lane, jobs, self._scope, then=[then])
            self.timings += [job.timing for job in jobs]
        outputs: list[TextOutput] = [known.get(each) or asked[each].outcome() for each in prompts]
        joined = TextOutput(
            join_templates(np.stack([each.values for each in outputs]), len(templates)),
            sum(each.tokens for each in outputs),
            any(each.truncated for each in outputs),
        )
        return self._cache.put(self._model.bundle.digest, key, joined), bool(asked)

    def _look_up(self, texts: Sequence[str]) -> tuple[dict[str, TextOutput], dict[str, Job]]:
        """What is known of the texts, and a job for every other one."""
        digest = self._model.bundle.digest
        known: dict[str, TextOutput] = {}
        asked: dict[str, Job] = {}
        for text in dict.fromkeys(texts):
            if (found := self._cache.get(digest, text)) is not None:
                known[text] = found
            else:
                call = TextCall(self._model, text, OUTPUT, self._cache)
                asked[text] = self._job(call)
        return known, asked

    def _image_job(self, data: bytes) -> Job:
        return self._job(ImageEmbeddingCall(self._model, data, self._serving.limits))

    def _job(self, call: TextCall | ImageEmbeddingCall) -> Job:
        return Job(
            prepare=call.prepare,
            finish=call.finish,
            deadline=self._terms.deadline,
            priority=self._terms.priority,
        )

    async def _run(self, images: Sequence[Job], texts: Sequence[Job]) -> None:
        """All side by side, but never more of the texts than the queue holds."""
        lanes = self._model.lanes
        first, *others = _portions(texts, lanes[TEXT_ROLE].capacity) or [[]]
        together = [(lanes[IMAGE_ROLE], images), (lanes[TEXT_ROLE], first)]
        for work in (together, *([(lanes[TEXT_ROLE], jobs)] for jobs in others)):
            some = [(lane, jobs) for lane, jobs in work if jobs]
            if len(some) == 1:
                ((lane, jobs),) = some
                await run_while_connected(self._model.device, lane, jobs, self._scope)
            elif some:
                await while_connected(self._together(some), self._scope)
            self.timings += [job.timing for _, jobs in some for job in jobs]

    async def _together(self, work: Sequence[tuple[Lane, Sequence[Job]]]) -> None:
        """Jobs of several lanes at once. Where one has no room, the others' are given up."""
        runs = [asyncio.ensure_future(self._model.device.run(lane, jobs)) for lane, jobs in work]
        try:
            await asyncio.gather(*runs)
        finally:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)


def _portions(jobs: Sequence[Job], size: int) -> list[Sequence[Job]]:
    return [jobs[start : start + size] for start in range(0, len(jobs), size)]


def _of_image(job: Job) -> Embedded:
    return Embedded("image", job.result, job.error)


def _of_text(read: TextOutput | Job) -> Embedded:
    if isinstance(read, Job):
        if read.error is not None:
            return Embedded("text", None, read.error)
        read = read.result
    assert isinstance(read, TextOutput)
    vector = read.values.astype(np.float32, copy=False)
    return Embedded("text", vector, tokens=read.tokens, truncated=read.truncated)
