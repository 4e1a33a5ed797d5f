"""Routes that FastAPI documents and does not answer: its parsing costs as much as a small model."""

from __future__ import annotations

from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send


def posts_to(endpoint: ASGIApp) -> type[APIRoute]:
    """A kind of route whose POST is answered by `endpoint`; its own function is never called."""

    class Route(APIRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] == "POST":
                await endpoint(scope, receive, send)
            else:
                await super().handle(scope, receive, send)

    return Route
