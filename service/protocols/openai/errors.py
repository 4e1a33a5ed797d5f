"""Errors in OpenAI's form, and endpoints that answer with them."""

from __future__ import annotations

import abc
import logging
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import InvalidOptionError, NotFoundError, RequestError
from service.protocols.problems import option_error, problem_of, problem_response

log = logging.getLogger(__name__)

BUSY, INTERNAL = 429, 500


class ParameterError(RequestError):
    """One member of the body is wrong; which of them is told apart from the sentence."""

    def __init__(self, detail: str, *, param: str) -> None:
        super().__init__(detail)
        self.param = param


class OpenAiEndpoint(abc.ABC):
    """An ASGI application that speaks as OpenAI's do, when it cannot answer too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: ASGIApp
        try:
            response = await self.answer(scope, receive)
        except Exception as error:
            response = error_response(error, scope["state"]["request_id"])
        await response(scope, receive, send)

    @abc.abstractmethod
    async def answer(self, scope: Scope, receive: Receive) -> ASGIApp: ...


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """OpenAI's form of an error."""

    error: ErrorDetail


def error_response(error: Exception, request_id: str) -> Response:
    """Its status and headers are those of our own form."""
    problem = problem_of(error, request_id)
    if problem.status == INTERNAL:
        log.error("unexpected error", exc_info=error)
    # What OpenAI's clients take for a wrong request is 400.
    status = RequestError.status if isinstance(error, InvalidOptionError) else problem.status
    response = problem_response(problem, error)
    response.status_code = status
    said = ErrorDetail(
        message=problem.detail,
        type=_kind(status),
        param=error.param if isinstance(error, ParameterError) else None,
        code=_code(error, status),
    )
    response.body = orjson.dumps(ErrorAnswer(error=said).model_dump())
    response.headers["content-length"] = str(len(response.body))
    response.headers["content-type"] = "application/json"
    return response


def parameter_error(error: ValidationError) -> ParameterError:
    """The first thing that is wrong with a body."""
    first: Any = error.errors(include_url=False, include_context=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    return ParameterError(option_error(error).detail, param=name)


def _kind(status: int) -> str:
    if status == BUSY:
        return "rate_limit_error"
    return "invalid_request_error" if status < INTERNAL else "server_error"


def _code(error: Exception, status: int) -> str | None:
    if isinstance(error, NotFoundError):
        return "model_not_found"
    return "rate_limit_exceeded" if status == BUSY else None
