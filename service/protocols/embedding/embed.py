"""POST /embed: images and texts, answered with their vectors.

N inputs, D numbers of a vector.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.types import ASGIApp, Receive, Scope

from service.engine.job import Job, Timing
from service.engine.model import Model
from service.errors import BusyError
from service.imaging import encode_npy
from service.protocols.answer import Answer
from service.protocols.body import INLINE_BYTES, declared_bytes, is_lone_image, take_apart
from service.protocols.embedding.reading import Asked, WordsEndpoint, documented_body
from service.protocols.embedding.towers import Embedded, Towers, Vectors
from service.protocols.errand import AtTheDoor, Errand
from service.protocols.negotiate import choose_form
from service.protocols.problems import problem_of
from service.protocols.rest import ONE_RED_PIXEL, FailedImage
from service.protocols.route import documented_answers, posts_to
from service.protocols.serving import Serving
from service.tasks.embed import (
    BASE64,
    FORMS,
    IMAGE_ROLE,
    TASK,
    Embedding,
    EmbedOptions,
    dimensions_of,
)
from service.tasks.form import JSON, NPY, Form
from service.text.tokenizer import TEXT_ROLE

INLINE_NUMBERS = 50_000
"""More of them are written down off the event loop."""


@dataclass(slots=True)
class Embeddings:
    """A vector for every image and text."""

    model: Annotated[str, Field(description="The model and version that answered")]
    dimensions: Annotated[int, Field(description="How many numbers a vector has")]
    embeddings: Annotated[list[Embedding | FailedImage], Field(description="In the order sent")]


def add_embed(router: APIRouter, serving: Serving) -> ASGIApp:
    """POST /embed, documented by its types and answered by the endpoint returned."""
    endpoint = EmbedEndpoint(serving, EmbedOptions)

    async def documented(options: Annotated[EmbedOptions, Query()]) -> None:
        """Never called: its signature is the documentation."""

    others: dict[str, Any] = {form.media_type: {} for form in FORMS if form is not JSON}
    router.add_api_route(
        f"/{TASK}",
        documented,
        methods=["POST"],
        operation_id=TASK,
        summary="Turn images and texts into vectors",
        description=_DESCRIPTION,
        tags=["tasks"],
        response_model=Embeddings,
        responses=documented_answers({"application/json": {"example": _EXAMPLE}, **others}),
        openapi_extra={"requestBody": documented_body(_EXAMPLES)},
        route_class_override=posts_to(endpoint),
    )
    return endpoint


class EmbedEndpoint(WordsEndpoint[EmbedOptions], AtTheDoor):
    async def answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        asked = await self.read(scope, receive)
        form, model, towers = self.begin(scope, asked)
        with model.hold():
            vectors = await towers.embed(asked.inputs)
        vectors.raise_if_none()
        request_id = scope["state"]["request_id"]
        if len(vectors) * dimensions_of(model.bundle.manifest) <= INLINE_NUMBERS:
            content = write(form, model, vectors, request_id)
        else:
            content = await asyncio.to_thread(write, form, model, vectors, request_id)
        return told(scope, form, model, vectors, content, towers.timings)

    def begin(self, scope: Scope, asked: Asked[EmbedOptions]) -> tuple[Form, Model, Towers]:
        form = choose_form(asked.headers.get(b"accept", b""), asked.options.format, FORMS)
        model = self.serving.registry.find(TASK, asked.options.model)
        terms = self.serving.terms(model, asked.arrived, asked.headers)
        return form, model, Towers(self.serving, model, terms, scope)

    def errand(self, scope: Scope) -> Errand | None:
        """Of one image, or of texts."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if is_lone_image(headers, max_bytes=self.serving.settings.max_body_bytes) or (
            0 < declared_bytes(headers) <= INLINE_BYTES
        ):
            return EmbedErrand(self, scope, headers)
        return None


class EmbedErrand:
    """Vectors that one tower gives, all at once."""

    __slots__ = (
        *("_arrived", "_endpoint", "_form", "_headers", "_lane", "_model", "_plan", "_scope"),
        *("_jobs",),
    )

    def __init__(
        self, endpoint: EmbedEndpoint, scope: Scope, headers: Mapping[bytes, bytes]
    ) -> None:
        self._arrived = time.monotonic()
        self._endpoint = endpoint
        self._scope = scope
        self._headers = headers
        self._jobs: Sequence[Job] = ()

    def no_time(self) -> BusyError | None:
        """Nobody can tell before the texts are there."""
        return None

    def expect(self) -> None: ...

    def start(self, body: bytes, done: Callable[[], None]) -> bool:
        endpoint, scope = self._endpoint, self._scope
        sent = take_apart(body, self._headers, with_texts=True)
        if sent.links:
            return False
        asked = endpoint.asked(scope, self._arrived, self._headers, sent)
        self._form, model, towers = endpoint.begin(scope, asked)
        plan = towers.plan(asked.inputs)
        role, jobs = (IMAGE_ROLE, plan.images) if plan.images else (TEXT_ROLE, plan.texts)
        lane = model.lanes[role]
        if (plan.images and plan.texts) or len(jobs) > lane.capacity:
            return False
        self._model, self._plan, self._lane, self._jobs = model, plan, lane, jobs
        if not jobs:
            done()
            return True
        settled = itertools.count(1)  # of which no two threads are given the same

        def on_done(job: Job) -> None:
            if next(settled) == len(jobs):
                done()

        for job in jobs:
            job.on_done = on_done
        # With no pause since the model was found: it need not be held.
        model.device.scheduler.submit(lane, jobs)
        return True

    def cancel(self) -> None:
        for job in self._jobs:
            self._model.device.scheduler.cancel(self._lane, job)

    def answer(self) -> Answer:
        vectors = self._plan.vectors()
        vectors.raise_if_none()
        content = write(self._form, self._model, vectors, self._scope["state"]["request_id"])
        timings = [job.timing for job in self._jobs]
        return told(self._scope, self._form, self._model, vectors, content, timings)


def told(
    scope: Scope,
    form: Form,
    model: Model,
    vectors: Vectors,
    content: bytes,
    timings: Sequence[Timing],
) -> Answer:
    scope["state"]["timings"] = timings
    return Answer(model, content, form.media_type, timings, more=vectors.headers)


def write(form: Form, model: Model, vectors: Vectors, request_id: str) -> bytes:
    """The document; NumPy's has no place for an error, so that one fails it."""
    if form is NPY:
        return encode_npy(np.stack([each.value() for each in vectors]).astype("<f4"))  # [N, D]
    answer = {
        "model": model.ref,
        "dimensions": dimensions_of(model.bundle.manifest),
        "embeddings": [_one(each, form, request_id) for each in vectors],
    }
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _one(embedded: Embedded, form: Form, request_id: str) -> Mapping[str, Any]:
    if embedded.vector is None:
        assert embedded.error is not None
        return {"error": problem_of(embedded.error, request_id).model_dump()}
    said: dict[str, Any] = {"kind": embedded.kind, "embedding": embedded.vector}
    if form is BASE64:
        said["embedding"] = base64.b64encode(embedded.vector.astype("<f4").tobytes()).decode()
    return {**said, "truncated": embedded.truncated}


# -- documentation

_DESCRIPTION = f"""Images and texts that mean the same get vectors that lie close: their cosine is
their product, since each has length 1. The body is one image; `multipart/form-data` with fields
`image` and `text`, each as often as you like; or JSON with `images` (base64) and `texts`. The
answer is in the order sent. `{NPY.media_type}` is one float32 array [inputs, dimensions], and
`format=base64` JSON with little-endian float32 in base64. A text that is longer than the model
reads is cut, and `truncated` says so."""

_EXAMPLES = {
    "a pixel and two texts": {
        "value": {"images": [ONE_RED_PIXEL], "texts": ["a red ball", "a blue cube"]}
    }
}
_EXAMPLE = {
    "model": "name:1",
    "dimensions": 4,
    "embeddings": [
        {"kind": "image", "embedding": [0.54, -0.54, -0.54, 0.35], "truncated": False},
        {"kind": "text", "embedding": [0.55, -0.53, -0.54, 0.35], "truncated": False},
    ],
}
