"""A request with images and texts, read and within its limits."""

from __future__ import annotations

import abc
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import PanoptesError, RequestError
from service.protocols.body import Body, check_inputs, options_in_query, read_inputs
from service.protocols.problems import option_error, problem_of, problem_response
from service.protocols.serving import Serving
from service.tasks.embed import WordsOptions

O = TypeVar("O", bound=WordsOptions)  # noqa: E741  # options


@dataclass(frozen=True, slots=True)
class Asked(Generic[O]):
    arrived: float
    headers: Mapping[bytes, bytes]
    inputs: list[bytes | str]
    """Images and texts in the order sent, those of the query last."""
    options: O


class WordsEndpoint(abc.ABC, Generic[O]):
    """An ASGI application for bodies of images and texts."""

    def __init__(self, serving: Serving, options_type: type[O]) -> None:
        self.serving = serving
        self._options_type = options_type

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response: ASGIApp = await self.answer(scope, receive)
        except PanoptesError as error:
            response = problem_response(problem_of(error, scope["state"]["request_id"]), error)
        await response(scope, receive, send)

    @abc.abstractmethod
    async def answer(self, scope: Scope, receive: Receive) -> ASGIApp: ...

    async def read(self, scope: Scope, receive: Receive) -> Asked[O]:
        arrived = time.monotonic()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = await read_inputs(receive, headers, self.serving.settings, self.serving.fetcher)
        return self.asked(scope, arrived, headers, body)

    def asked(
        self, scope: Scope, arrived: float, headers: Mapping[bytes, bytes], body: Body
    ) -> Asked[O]:
        try:
            options = self._options_type.model_validate(
                {**options_in_query(scope["query_string"]), **body.options}
            )
        except ValidationError as error:
            raise option_error(error) from None
        # A body without bytes is none: the texts may be in the query.
        sent = [] if body.inputs == [b""] else body.inputs
        inputs = [*sent, *options.text]
        if not any(inputs):
            raise RequestError("there is neither an image nor a text in the request")
        check_inputs(inputs, self.serving.settings)
        return Asked(arrived, headers, inputs, options)


def documented_body(examples: Mapping[str, Any]) -> dict[str, Any]:
    binary = {"type": "string", "format": "binary"}
    images = {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}}
    texts = {"type": "array", "items": {"type": "string"}}
    return {
        "content": {
            "application/json": {
                "schema": {"type": "object", "properties": {"images": images, "texts": texts}},
                "examples": dict(examples),
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "array", "items": binary}, "text": texts},
                }
            },
            "image/*": {"schema": binary},
        }
    }
