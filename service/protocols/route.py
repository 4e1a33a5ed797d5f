"""Routes that FastAPI documents and does not answer: its parsing costs as much as a small model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.protocols.problems import MEDIA_TYPE, Problem

PROBLEMS: Final[Mapping[int, str]] = {
    400: "Not an image, or a malformed body",
    404: "No such model",
    406: "No answer in an accepted form",
    413: "Too large",
    415: "A format that is not read",
    422: "An option out of its range",
    429: "Too busy: see Retry-After",
    503: "Not ready, or stopping",
    504: "The deadline passed",
}


def posts_to(endpoint: ASGIApp) -> type[APIRoute]:
    """A kind of route whose POST is answered by `endpoint`; its own function is never called."""

    class Route(APIRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] == "POST":
                await endpoint(scope, receive, send)
            else:
                await super().handle(scope, receive, send)

    return Route


def documented_answers(
    content: Mapping[str, Any], problems: Mapping[int, str] = PROBLEMS
) -> dict[int | str, dict[str, Any]]:
    """The answers of a route: what it says by media type, and when it is a problem."""
    return {
        200: {"description": "The answer", "content": dict(content)},
        **{
            status: {"description": text, "content": {MEDIA_TYPE: {}}, "model": Problem}
            for status, text in problems.items()
        },
    }
