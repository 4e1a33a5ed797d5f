"""POST /generate: a prompt, answered with pictures, or with how they come to be."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body
from pydantic import Field, ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import NotAcceptableError, PanoptesError, UnsupportedMediaError
from service.generation import TASK, GenerateOptions, Glimpse, Painting, Pixels, Queued, png_of
from service.protocols import mixed, sse
from service.protocols.body import json_object, options_in_query, read_bytes
from service.protocols.commission import Commission, commission, timing_of
from service.protocols.negotiate import choose_form
from service.protocols.problems import option_error, problem_of, problem_response
from service.protocols.route import documented_answers, posts_to
from service.protocols.serving import Serving, while_connected
from service.tasks.form import JSON, PNG, Form

MULTIPART = Form("multipart", mixed.MEDIA_TYPE, holds_many=True)
EVENTS = Form("events", sse.MEDIA_TYPE, holds_many=True)
FORMS_OF_ONE = (PNG, JSON, MULTIPART, EVENTS)
FORMS_OF_MANY = (MULTIPART, JSON, EVENTS, PNG)

MAX_BODY_BYTES = 1 << 20


@dataclass(slots=True)
class GeneratedImage:
    seed: int
    index: Annotated[int, Field(description="Which picture of the seed this is")]
    width: int
    height: int
    image: Annotated[str, Field(description="A PNG in base64")]


@dataclass(slots=True)
class Generation:
    """Pictures, and all that it takes to paint them again."""

    model: str
    images: list[GeneratedImage]
    parameters: Annotated[
        dict[str, Any],
        Field(description="As a body for this path: what was left open is filled in"),
    ]
    prompt_truncated: Annotated[
        bool, Field(description="Whether the prompt went on where the model had no more room")
    ]


def add_generate(router: APIRouter, serving: Serving) -> ASGIApp:
    """POST /generate, documented by its types and answered by the endpoint returned."""
    endpoint = GenerateEndpoint(serving)

    async def documented(
        options: Annotated[GenerateOptions, Body(openapi_examples=_EXAMPLES)],
    ) -> None:
        """Never called: its signature is the documentation."""

    router.add_api_route(
        f"/{TASK}",
        documented,
        methods=["POST"],
        operation_id=TASK,
        summary="Paint what a prompt says",
        description=_DESCRIPTION,
        tags=["tasks"],
        response_model=Generation,
        responses=documented_answers(_CONTENT, _PROBLEMS),
        route_class_override=posts_to(endpoint),
    )
    return endpoint


class GenerateEndpoint:
    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: ASGIApp
        try:
            response = await self._answer(scope, receive)
        except PanoptesError as error:
            response = problem_response(problem_of(error, scope["state"]["request_id"]), error)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        arrived = time.monotonic()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        data = await read_bytes(receive, headers, max_bytes=MAX_BODY_BYTES)
        options = _parse(data, headers, scope["query_string"])
        form = _choose(options, headers)
        asked = commission(self._serving, options, arrived, headers)
        with asked.model.hold():
            if form is EVENTS:
                return await _open_events(asked, options.preview_every, scope)
            painting = asked.painting(_writer(asked))
            files = await while_connected(painting.paint(), scope)
        content, content_type = _document(form, painting, files)
        headers_out = {**asked.headers, "server-timing": timing_of(painting, scope)}
        return Response(content, headers=headers_out | {"content-type": content_type})


async def _open_events(asked: Commission, every: int | None, scope: Scope) -> sse.EventStream:
    request_id = scope["state"]["request_id"]

    async def work(tell: sse.Tell) -> None:
        painting = asked.painting(
            _writer(asked),
            listener=lambda event: tell(_event(event, asked, request_id)),
            preview_every=every,
        )
        with asked.model.hold():
            files = await painting.paint()
        timing = timing_of(painting, scope)
        tell(sse.Event("done", {**_answer(painting, files), "server_timing": timing}))

    def last_words(error: Exception) -> sse.Event:
        return sse.Event("error", problem_of(error, request_id).model_dump())

    return await sse.open_events(work, scope, headers=asked.headers, last_words=last_words)


def _parse(data: bytes, headers: Mapping[bytes, bytes], query: bytes) -> GenerateOptions:
    """The body's options win over the query's."""
    kind = headers.get(b"content-type", b"application/json").decode("latin-1")
    essence = kind.split(";", 1)[0].strip().lower()
    # The second is what curl -d says when nobody told it what the text is.
    if essence not in ("application/json", "application/x-www-form-urlencoded"):
        raise UnsupportedMediaError(f"{essence} is not read here; send JSON")
    try:
        return GenerateOptions.model_validate({**options_in_query(query), **json_object(data)})
    except ValidationError as error:
        raise option_error(error) from None


def _choose(options: GenerateOptions, headers: Mapping[bytes, bytes]) -> Form:
    offered = FORMS_OF_ONE if options.n == 1 else FORMS_OF_MANY
    form = choose_form(headers.get(b"accept", b""), options.format, offered)
    if options.n > 1 and not form.holds_many:
        names = ", ".join(each.name for each in offered if each.holds_many)
        raise NotAcceptableError(f"{form.name} holds one picture; for {options.n} ask for {names}")
    return form


# -- what is written


def _writer(asked: Commission) -> Any:
    def write(index: int, pixels: Pixels) -> bytes:
        return png_of(pixels, asked.order.of_one(index), asked.model.bundle.digest)

    return write


def _document(form: Form, painting: Painting, files: Sequence[bytes]) -> tuple[bytes, str]:
    """The answer and its Content-Type."""
    if form is PNG:
        (only,) = files
        return only, PNG.media_type
    if form is JSON:
        return orjson.dumps(_answer(painting, files)), JSON.media_type
    order = painting.order
    return mixed.join_parts(
        [
            mixed.Part(
                {
                    "Content-Type": PNG.media_type,
                    "Content-Disposition": f'attachment; filename="{order.seed}-{index}.png"',
                },
                file,
            )
            for index, file in zip(order.indices, files, strict=True)
        ]
    )


def _answer(painting: Painting, files: Sequence[bytes]) -> dict[str, Any]:
    order = painting.order
    height, width = painting.painter.sizes.image
    assert painting.prompt is not None
    return {
        "model": order.model,
        "images": [
            GeneratedImage(order.seed, index, width, height, base64.b64encode(file).decode())
            for index, file in zip(order.indices, files, strict=True)
        ],
        "parameters": {**order.of_one(order.index), "n": order.n},
        "prompt_truncated": painting.prompt.truncated,
    }


def _event(event: Queued | Glimpse, asked: Commission, request_id: str) -> sse.Event:
    order = asked.order
    if isinstance(event, Queued):
        said = {
            "request_id": request_id,
            "model": order.model,
            "seed": order.seed,
            "steps": order.steps,
            "predicted_ms": round(event.predicted_s * 1e3, 1),
        }
        return sse.Event("queued", said)
    _, high, wide = asked.painter.sizes.latents
    image = None if event.file is None else base64.b64encode(event.file).decode()
    return sse.Event(
        "preview",
        {
            "index": event.index,
            "step": event.step,
            "steps": order.steps,
            "width": wide,
            "height": high,
            "image": image,
        },
    )


# -- documentation

_DESCRIPTION = """Answers with a PNG that carries its prompt and the JSON that paints it again; with
JSON, where each picture is base64; with `multipart/mixed`, as several pictures come by themselves;
or with `text/event-stream`: `queued` with a predicted time, `preview` every few steps, `done` with
the same as JSON, and `error` with a problem. Prompts with different steps, samplers and guidance
share the batches of the model, and the same seed paints the same picture in any company."""

_EXAMPLES: Any = {
    "a small picture": {
        "value": {
            "prompt": "a red ball beside a blue cube",
            "seed": 7,
            "steps": 4,
            "format": "json",
        }
    }
}
_EXAMPLE = {
    "model": "name:1",
    "images": [{"seed": 7, "index": 0, "width": 128, "height": 128, "image": "<base64>"}],
    "parameters": {"prompt": "a red ball beside a blue cube", "steps": 4, "seed": 7, "n": 1},
    "prompt_truncated": False,
}


_PROBLEMS = {
    400: "A malformed body",
    404: "No such model",
    406: "No answer in an accepted form",
    413: "Too large, or more pictures than the queue holds",
    415: "Not JSON",
    422: "An option out of its range",
    429: "Too busy, or the deadline cannot be met: see Retry-After",
    503: "Not ready, or stopping",
    504: "The deadline passed",
}
_CONTENT: dict[str, Any] = {form.media_type: {} for form in FORMS_OF_ONE} | {
    JSON.media_type: {"example": _EXAMPLE}
}
