"""The native dialect: POST /<task> with images, answered as typed JSON or as a picture."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, ValidationError, create_model
from starlette.types import ASGIApp, Receive, Scope, Send

from service.engine.job import Job, Timing
from service.engine.model import Model
from service.errors import BusyError, NotAcceptableError, PanoptesError
from service.protocols.answer import Answer
from service.protocols.body import is_lone_image, options_in_query, read_images
from service.protocols.errand import AtTheDoor, Errand
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


class TaskEndpoint(AtTheDoor):
    """One task over HTTP: body to jobs, jobs through the engine, outcomes to the answer.

    An ASGI application of its own: FastAPI's parsing of parameters, its middleware and its router
    cost as much as all the rest of a small model's request.
    """

    def __init__(self, task: ImageTask[Any, Any], serving: Serving) -> None:
        self.task = task
        self._serving = serving
        self.options_type = _options_type(task)
        # Frozen, so that requests may share them; those that do not validate are not kept.
        self._options_in = functools.lru_cache(maxsize=256)(self._parse)
        self._refused_at = -math.inf
        self.let_in = 0
        """Images on their way, of those who were not turned away: they will ask for a place."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response: ASGIApp = await self._answer(await self._read(scope, receive))
        except PanoptesError as error:
            if isinstance(error, BusyError):
                self.refuses()
            response = problem_response(problem_of(error, scope["state"]["request_id"]), error)
        await response(scope, receive, send)

    def errand(self, scope: Scope) -> Errand | None:
        """Of one image that runs through one graph."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not is_lone_image(headers, max_bytes=self._serving.settings.max_body_bytes):
            return None
        try:
            asked = self._asked(scope, time.monotonic(), headers, [], {})
        except PanoptesError:
            return None  # who is let in hears of it
        return ImageErrand(self, asked) if self.is_one_graph(asked.options) else None

    def is_one_graph(self, options: Any) -> bool:
        """Whether an image is answered for by the task's own graph."""
        return True

    def refuses(self) -> None:
        """From now on and for a while those who come are asked at the door."""
        self._refused_at = time.monotonic()

    def no_time(self, asked: Asked) -> BusyError | None:
        """What else is wrong is told to whom is let in."""
        now = time.monotonic()
        if now > self._refused_at + WATCH_S:
            return None
        try:
            model, terms = self.found(asked)
            lane = model.lanes[self.task.name]
            model.device.scheduler.check(lane, terms.deadline, terms.priority, ahead=self.let_in)
        except BusyError as error:
            self._refused_at = now
            return error
        except PanoptesError:
            pass
        return None

    async def _read(self, scope: Scope, receive: Receive) -> Asked:
        arrived = time.monotonic()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await read_images(receive, headers, self._serving.settings, self._serving.fetcher)
        return self._asked(scope, arrived, headers, body.images, body.options)

    def _asked(
        self,
        scope: Scope,
        arrived: float,
        headers: Mapping[bytes, bytes],
        images: Sequence[bytes],
        in_body: Mapping[str, Any],
    ) -> Asked:
        options = self._options(scope["query_string"], in_body)
        form = choose_form(headers.get(b"accept", b""), options.format, self.task.forms)
        if len(images) > 1 and not form.holds_many:
            raise NotAcceptableError(
                f"{form.name} answers for one image; ask for JSON or send them singly"
            )
        return Asked(scope, arrived, headers, images, options, form)

    def found(self, asked: Asked) -> tuple[Model, Terms]:
        """Who will answer, and until when."""
        model = self._serving.registry.find(self.task.name, asked.options.model)
        return model, self._serving.terms(model, asked.arrived, asked.headers)

    async def _answer(self, asked: Asked) -> ASGIApp:
        model, terms = self.found(asked)
        with model.hold():
            return await self._run(asked, self.task, model, self.task.name, terms)

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
        jobs = self.jobs(asked, task, model, terms)
        await run_while_connected(
            model.device, model.lanes[role], jobs, asked.scope, admitted=admitted
        )
        return self.told(asked, task, model, jobs)

    def jobs(
        self, asked: Asked, task: ImageTask[Any, Any], model: Model, terms: Terms
    ) -> list[Job]:
        """One for every image."""
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
        return jobs

    def told(
        self, asked: Asked, task: ImageTask[Any, Any], model: Model, jobs: Sequence[Job]
    ) -> Answer:
        """What became of the jobs."""
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
        more = {**more, **asked.more} if asked.more else more
        return Answer(model, content, asked.form.media_type, asked.before, timings, more=more)

    def _options(self, query: bytes, in_body: Mapping[str, Any]) -> Any:
        """The options in the query and in the body; the body's win."""
        return self._parse(query, in_body) if in_body else self._options_in(query)

    def _parse(self, query: bytes, in_body: Mapping[str, Any] = _NOTHING) -> Any:
        try:
            return self.options_type.model_validate({**options_in_query(query), **in_body})
        except ValidationError as error:
            raise option_error(error) from None


class ImageErrand:
    """One image to be asked about, on its way and then in the engine."""

    __slots__ = ("_asked", "_endpoint", "_job", "_lane", "_model")

    def __init__(self, endpoint: TaskEndpoint, asked: Asked) -> None:
        self._endpoint = endpoint
        self._asked = asked
        self._job: Job | None = None

    def no_time(self) -> BusyError | None:
        return self._endpoint.no_time(self._asked)

    def expect(self) -> None:
        self._endpoint.let_in += 1

    def start(self, body: bytes, done: Callable[[], None]) -> bool:
        endpoint, asked = self._endpoint, self._asked
        endpoint.let_in -= 1
        asked.images = [body]
        self._model, terms = endpoint.found(asked)
        (self._job,) = endpoint.jobs(asked, endpoint.task, self._model, terms)
        asked.images = ()
        self._lane = self._model.lanes[endpoint.task.name]
        self._job.on_done = lambda _: done()
        try:
            # With no pause since the model was found: it need not be held.
            self._model.device.scheduler.submit(self._lane, [self._job])
        except BusyError:
            endpoint.refuses()
            raise
        return True

    def cancel(self) -> None:
        if self._job is None:
            self._endpoint.let_in -= 1
        else:
            self._model.device.scheduler.cancel(self._lane, self._job)

    def answer(self) -> Answer:
        assert self._job is not None
        return self._endpoint.told(self._asked, self._endpoint.task, self._model, [self._job])


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
