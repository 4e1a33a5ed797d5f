"""The Open Inference Protocol over HTTP: /v2/…, with JSON and with raw tensors."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version as version_of
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from service.errors import PanoptesError, UnavailableError
from service.protocols.answer import server_timing
from service.protocols.body import read_bytes
from service.protocols.health import Readiness
from service.protocols.oip.binary import HEADER_LENGTH, read_request, write_answer
from service.protocols.oip.catalogue import find, index
from service.protocols.oip.inference import deadline_after, infer
from service.protocols.serving import Serving, Terms, deadline_of

EXTENSIONS = ("binary_tensor_data", "model_configuration")
TAG = "Open Inference Protocol"

Endpoint = Callable[[Request], Awaitable[Response]]


def server_metadata() -> dict[str, Any]:
    return {"name": "panoptes", "version": version_of("panoptes"), "extensions": list(EXTENSIONS)}


def oip_router(serving: Serving, readiness: Readiness) -> APIRouter:
    """Every graph of every model as tensors: see `catalogue` for the names."""
    endpoints = _Endpoints(serving, readiness)
    router = APIRouter(prefix="/v2", tags=[TAG])

    def add(path: str, endpoint: Endpoint, summary: str, method: str = "GET") -> None:
        router.add_api_route(
            path,
            _answering(endpoint),
            methods=[method],
            summary=summary,
            operation_id=f"v2 {method.lower()} {path}",
            responses=_DOCUMENTED,
            response_class=Response,
        )

    add("", endpoints.server, "The server, and which extensions it speaks")
    add("/health/live", endpoints.live, "The process answers")
    add("/health/ready", endpoints.ready, "Every model has just answered a real input")
    add("/repository/index", endpoints.index, "Every version, served or not", "POST")
    for path in ("/models/{name}", "/models/{name}/versions/{version}"):
        add(path, endpoints.model, "A graph's inputs and outputs")
        add(f"{path}/ready", endpoints.model_ready, "Whether the graph is served")
        add(f"{path}/config", endpoints.config, "The same in Triton's words")
        add(f"{path}/infer", endpoints.infer, "Tensors in, tensors out", "POST")
    return router


class _Endpoints:
    def __init__(self, serving: Serving, readiness: Readiness) -> None:
        self._serving = serving
        self._readiness = readiness

    async def server(self, request: Request) -> Response:
        return _json(server_metadata())

    async def live(self, request: Request) -> Response:
        return _json({"live": True})

    async def ready(self, request: Request) -> Response:
        if reason := await self._readiness.why_not():
            raise UnavailableError(reason)
        return _json({"ready": True})

    async def index(self, request: Request) -> Response:
        return _json(index(self._serving.registry))

    async def model(self, request: Request) -> Response:
        return _json(find(self._serving.registry, *_named(request)).metadata())

    async def model_ready(self, request: Request) -> Response:
        name, version = _named(request)
        find(self._serving.registry, name, version)
        return _json({"name": name, "ready": True})

    async def config(self, request: Request) -> Response:
        return _json(find(self._serving.registry, *_named(request)).config())

    async def infer(self, request: Request) -> Response:
        arrived = time.monotonic()
        settings = self._serving.settings
        headers: dict[bytes, bytes] = dict(request.scope["headers"])
        body = await read_bytes(request.receive, headers, max_bytes=settings.max_body_bytes)
        asked = read_request(body, headers.get(HEADER_LENGTH.encode()))
        if (header := headers.get(b"x-deadline-ms")) is not None:
            deadline = deadline_of(arrived, header, settings.deadline_ms)
        else:
            deadline = deadline_after(asked.timeout_us, settings.deadline_ms)
        answer = await infer(
            self._serving,
            *_named(request),
            asked.inputs,
            list(asked.outputs),
            terms=Terms(deadline, self._serving.priority(headers)),
            scope=request.scope,
        )
        request.state.timings = answer.timings
        content, header_length = write_answer(answer, asked)
        response = Response(content, media_type="application/json")
        response.headers["Server-Timing"] = server_timing(answer.timings)
        if header_length is not None:
            response.headers["Content-Type"] = "application/octet-stream"
            response.headers[HEADER_LENGTH] = str(header_length)
        return response


def _answering(endpoint: Endpoint) -> Endpoint:
    """An error as this protocol tells it: an object with a word about it."""

    @functools.wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except PanoptesError as error:
            return _json({"error": error.detail}, status=error.status)

    return answer


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["name"], request.path_params.get("version", "")


def _json(content: Any, *, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status_code=status, media_type="application/json")


_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request is wrong: `error` says how"},
    "5XX": {"description": "Not now: `error` says why"},
}
