"""Errors as RFC 9457 problem documents: the one place where an error becomes an answer."""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from service.errors import BusyError, InvalidOptionError, PanoptesError, UnauthorizedError

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """RFC 9457. `type` is about:blank: the status and the title say what kind it is."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = Field(default="", description="The request id, to find it in the logs")


def problem_of(error: Exception, request_id: str) -> Problem:
    """What the caller may know: of an unexpected error nothing but the request id."""
    if isinstance(error, PanoptesError):
        return Problem(
            title=error.title, status=error.status, detail=error.detail, instance=request_id
        )
    return Problem(
        title=PanoptesError.title,
        status=500,
        detail="something unexpected happened; the logs have it under this request id",
        instance=request_id,
    )


def plain_problem(status: int, detail: str, request_id: str) -> Problem:
    """For errors that are not ours, such as an unknown path."""
    return Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, instance=request_id
    )


def problem_response(problem: Problem, error: Exception | None = None) -> Response:
    headers = {}
    if isinstance(error, BusyError):
        # Whole seconds, as RFC 9110 has it, and never "at once".
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        orjson.dumps(problem.model_dump()),
        status_code=problem.status,
        headers=headers,
        media_type=MEDIA_TYPE,
    )


def option_error(error: ValidationError) -> InvalidOptionError:
    """The first thing wrong with the options, in a sentence that names it."""
    first: dict[str, Any] = error.errors(include_url=False, include_context=False)[0]  # type: ignore[assignment]  # a TypedDict
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return InvalidOptionError(f"there is no option {name!r} here")
    return InvalidOptionError(f"{name}: {first['msg'].lower()}")
