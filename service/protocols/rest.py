"""The native dialect: POST /<task> with images, answered as typed JSON or as a picture."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, ValidationError, create_model
from starlette.types import ASGIApp, Receive, Scope, Send

from service.engine.job import Job, Timing
from service.engine.lane import Lane
from service.engine.model import Model
from service.errors import BusyError, NotAcceptableError, PanoptesError
from service.protocols.answer import Answer
from service.protocols.body import is_lone_image, options_in_query, read_images
from service.protocols.door import arrived, on_arrival
from service.protocols.negotiate import choose_form
from service.protocols.problems import Problem, option_error, problem_of, problem_response
from service.protocols.route import documented_answers, posts_to
from service.protocols.serving import Serving, Terms, run_while_connected
from service.tasks.form import JSON, Form
from service.tasks.task import ImageCall, ImageOptions, ImageTask

WATCH_S = 1.0
"""So long after a refusal those who come are asked at the door; else that would be in vain."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class FailedImage(BaseModel):
    """In the place of an image, among several, that has no answer."""

    error: Problem


def add_task(
    router: APIRouter,
    task: ImageTask[Any, Any],
    serving: Serving,
    kind: type[TaskEndpoint] | None = None,
) -> ASGIApp:
    """POST /<task>, documented by the task's own types and answered by the endpoint returned."""
    endpoint = (kind or TaskEndpoint)(task, serving)

    async def documented(options: Any) -> None:
        """Never called: its signature is the documentation."""

    documented.__annotations__["options"] = Annotated[endpoint.options_type, Query()]

    router.add_api_route(
        f"/{task.name}",
        documented,
        methods=["POST"],
        operation_id=task.name,
        summary=task.summary,
        description=task.description,
        tags=["tasks"],
        response_model=_answer_model(task),
        responses=_documented_responses(task),
        openapi_extra={"requestBody": _documented_body(task)},
        route_class_override=posts_to(endpoint),
    )
    return endpoint


@dataclass(slots=True)
class Asked:
    """A request that was read, and what is told beside its answer."""

    scope: Scope
    arrived: float
    headers: Mapping[bytes, bytes]
    images: Sequence[bytes]
    options: Any
    form: Form
    before: Sequence[Timing] = ()
    """What ran before the images."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Headers of the answer."""


class TaskEndpoint:
    """One task over HTTP: body to jobs, jobs through the engine, outcomes to the answer.

    An ASGI application of its own: FastAPI's parsing of parameters, its middleware and its router
    cost as much as all the rest of a small model's request.
    """

    def __init__(self, task: ImageTask[Any, Any], serving: Serving) -> None:
        self._task = task
        self._serving = serving
        self.options_type = _options_type(task)
        # Frozen, so that requests may share them; those that do not validate are not kept.
        self._options_in = functools.lru_cache(maxsize=256)(self._parse)
        self._refused_at = -math.inf
        self._let_in = 0
        """Requests that passed the door, and did not come as far as to ask for a place."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            try:
                asked = await self._read(scope, receive)
            finally:
                arrived(scope)
            response: ASGIApp = await self._answer(asked)
        except PanoptesError as error:
            if isinstance(error, BusyError):
                self._refused_at = time.monotonic()
            response = problem_response(problem_of(error, scope["state"]["request_id"]), error)
        await response(scope, receive, send)

    def busy(self, scope: Scope) -> BusyError | None:
        """Why not even one image would be answered in time, where requests are being refused, and
        if that can be told from the headers and the query. What else is wrong with them is told
        to whom is let in."""
        now = time.monotonic()
        if now > self._refused_at + WATCH_S:
            return None
        headers = dict(scope["headers"])
        if not is_lone_image(headers, max_bytes=self._serving.settings.max_body_bytes):
            return None
        try:
            options = self._options_in(scope["query_string"])
            if (found := self._lane(options)) is None:
                return None
            model, lane = found
            terms = self._serving.terms(model, now, headers)
            scheduler = model.device.scheduler
            scheduler.check(lane, terms.deadline, terms.priority, ahead=self._let_in)
            self._let_in += 1
            on_arrival(scope, self._one_less)
        except BusyError as error:
            self._refused_at = now
            return error
        except PanoptesError:
            pass
        return None

    def _one_less(self) -> None:
        self._let_in -= 1

    def _lane(self, options: Any) -> tuple[Model, Lane] | None:
        """Of the first graph that an image runs through, where that is all there is to it."""
        model = self._serving.registry.find(self._task.name, options.model)
        return model, model.lanes[self._task.name]

    async def _read(self, scope: Scope, receive: Receive) -> Asked:
        arrived = time.monotonic()
        serving = self._serving
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await read_images(receive, headers, serving.settings, serving.fetcher)
        options = self._options(scope["query_string"], body.options)
        form = choose_form(headers.get(b"accept", b""), options.format, self._task.forms)
        images = body.images
        if len(images) > 1 and not form.holds_many:
            raise NotAcceptableError(
                f"{form.name} answers for one image; ask for JSON or send them singly"
            )
        return Asked(scope, arrived, headers, images, options, form)

    async def _answer(self, asked: Asked) -> ASGIApp:
        task = self._task
        model = self._serving.registry.find(task.name, asked.options.model)
        terms = self._serving.terms(model, asked.arrived, asked.headers)
        with model.hold():
            return await self._run(asked, task, model, task.name, terms)

    async def _run(
        self,
        asked: Asked,
        task: ImageTask[Any, Any],
        model: Model,
        role: str,
        terms: Terms,
        *,
        admitted: bool = False,
    ) -> ASGIApp:
        """The images through a graph of the model, which is held meanwhile."""
        jobs = []
        for image in asked.images:
            call = ImageCall(task, model, image, asked.options, asked.form, self._serving.limits)
            jobs.append(
                Job(
                    prepare=call.prepare,
                    advance=call.advance,
                    finish=call.finish,
                    steps=call.steps,
                    deadline=terms.deadline,
                    priority=terms.priority,
                )
            )
        await run_while_connected(
            model.device, model.lanes[role], jobs, asked.scope, admitted=admitted
        )
        state = asked.scope["state"]
        timings = [job.timing for job in jobs]
        state["timings"] = [*asked.before, *timings]
        more: Mapping[str, str] = _NOTHING
        if asked.form is JSON:
            answer = {"model": model.ref, "images": _each_or_raise(jobs, state["request_id"])}
            content = orjson.dumps(answer)
        else:
            parts = [job.outcome() for job in jobs]
            content, more = task.join(asked.form, parts), task.headers(asked.form, parts)
        return Answer(
            model,
            content,
            asked.form.media_type,
            asked.before,
            timings,
            more={**more, **asked.more},
        )

    def _options(self, query: bytes, in_body: dict[str, Any]) -> Any:
        """The options in the query and in the body; the body's win."""
        return self._parse(query, in_body) if in_body else self._options_in(query)

    def _parse(self, query: bytes, in_body: Mapping[str, Any] = _NOTHING) -> Any:
        try:
            return self.options_type.model_validate({**options_in_query(query), **in_body})
        except ValidationError as error:
            raise option_error(error) from None


def _each_or_raise(jobs: Sequence[Job], request_id: str) -> list[Any]:
    """Every image's answer. Among several an image fails alone; if all do, the request does."""
    if all(job.error is not None for job in jobs):
        jobs[0].outcome()
    return [
        {"error": problem_of(job.error, request_id).model_dump()} if job.error else job.result
        for job in jobs
    ]


def _options_type(task: ImageTask[Any, Any]) -> type[ImageOptions]:
    """The task's options, with the names of its forms as the values of `format`."""
    described = ImageOptions.model_fields["format"].description
    names = tuple(form.name for form in task.forms)
    form: Any = (Literal[names] | None, Field(default=None, description=described))
    return create_model(task.options.__name__, __base__=task.options, format=form)


# -- documentation


def _answer_model(task: ImageTask[Any, Any]) -> type[BaseModel]:
    return create_model(
        f"{task.answer.__name__}Answer",
        model=(str, Field(description="The model and version that answered")),
        images=(list[task.answer | FailedImage], Field(description="In the order sent")),  # type: ignore[name-defined]
    )


def _documented_body(task: ImageTask[Any, Any]) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    base64 = {"type": "string", "contentEncoding": "base64"}
    return {
        "required": True,
        "content": {
            "image/*": {"schema": binary},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "array", "items": binary}},
                    "required": ["image"],
                }
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"image": base64, "images": {"type": "array", "items": base64}},
                },
                "examples": {"one red pixel": {"value": {"image": ONE_RED_PIXEL}}},
            },
        },
    }


def _documented_responses(task: ImageTask[Any, Any]) -> dict[int | str, dict[str, Any]]:
    example = {"model": "name:1", "images": [task.example]}
    others: dict[str, Any] = {form.media_type: {} for form in task.forms if form is not JSON}
    return documented_answers({"application/json": {"example": example}, **others})


ONE_RED_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)
