"""The application: every room of the house, put together."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access import guard_of
from service.bundle import open_repository
from service.engine.backends.choose import check_compute
from service.engine.device import Device, device_of
from service.engine.rest import resting
from service.errors import PanoptesError
from service.generation import TASK as GENERATE
from service.protocols.door import Reply, Visit
from service.protocols.embedding import ClassifyEndpoint, add_embed, add_rank
from service.protocols.envelope import Envelope
from service.protocols.errand import AtTheDoor
from service.protocols.generate import add_generate
from service.protocols.health import Readiness, health_router
from service.protocols.models import models_router
from service.protocols.oip import oip_router
from service.protocols.openai import (
    EMBEDDINGS,
    IMAGES,
    add_embeddings,
    add_images,
    openai_models_router,
)
from service.protocols.problems import plain_problem, problem_of, problem_response
from service.protocols.rest import TaskEndpoint, add_task
from service.protocols.serving import Serving
from service.registry import Registry
from service.settings import Settings
from service.tasks import IMAGE_TASKS, check_bundle
from service.tasks.embed import TASK as EMBED
from service.telemetry.metrics import LaneGauges, Metrics
from service.telemetry.traces import NoTracer, OtlpTracer, Tracer

WEB = Path(__file__).parent / "web"
ENDPOINTS: Mapping[str, type[TaskEndpoint]] = {"classify": ClassifyEndpoint}
"""Of the tasks that answer by more than one graph of an image."""
VERSION = importlib.metadata.version("panoptes")

DESCRIPTION = """One server that sees and paints. POST an image, get a typed answer, or a picture
of it.

Send the image's bytes, multipart/form-data with one or many, or JSON with base64. `Accept` chooses
the form of the answer. `X-Deadline-Ms` says how long the answer is of use: a request that cannot be
answered in time is refused at once, with 429 and `Retry-After`. `X-Priority` is `high`, `normal` or
`low`. Errors are RFC 9457 problems."""


def create_app(settings: Settings | None = None) -> Application:
    """The ASGI application. Threads start, and models load, in its lifespan."""
    serving = _serving(settings or Settings())
    api = FastAPI(
        title="Panoptes",
        version=VERSION,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=_lifespan,
        # Their pages fetch scripts from elsewhere. /openapi.json is there for any viewer.
        docs_url=None,
        redoc_url=None,
    )
    readiness = Readiness(serving)
    api.state.serving, api.state.readiness = serving, readiness
    direct = {
        f"/{task.name}": add_task(api.router, task, serving, ENDPOINTS.get(task.name))
        for task in IMAGE_TASKS
    }
    direct[f"/{EMBED}"] = add_embed(api.router, serving)
    direct["/rank"] = add_rank(api.router, serving)
    direct[EMBEDDINGS] = add_embeddings(api.router, serving)
    direct[f"/{GENERATE}"] = add_generate(api.router, serving)
    direct[IMAGES] = add_images(api.router, serving)
    api.include_router(models_router(serving))
    api.include_router(health_router(serving, readiness))
    api.include_router(oip_router(serving, readiness))
    api.include_router(openai_models_router(serving))
    _add_page(api)
    api.add_exception_handler(PanoptesError, _on_error)
    api.add_exception_handler(HTTPException, _on_http_error)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    return Application(api, serving, direct=direct)


class Application(Envelope):
    """The server as an ASGI application, with what it is made of."""

    def __init__(self, api: FastAPI, serving: Serving, *, direct: Mapping[str, ASGIApp]) -> None:
        super().__init__(api, serving, direct=direct)
        self.api = api
        self.serving = serving
        self._outermost = self._allowing(serving.settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._outermost(scope, receive, send)

    def meet(self, scope: Scope, reply: Reply) -> Visit | Response | None:
        """Who serves a request at the door, or the answer where there is no time for it, if its
        headers tell so."""
        if self.serving.settings.cors_origins:
            return None  # Its answer would need more headers.
        endpoint = self._direct.get(scope["path"])
        if not isinstance(endpoint, AtTheDoor) or (errand := endpoint.errand(scope)) is None:
            return None
        if (busy := errand.no_time()) is not None:
            return self.refuse(scope, busy)
        return self.visit(scope, errand, reply)

    def _allowing(self, origins: Sequence[str]) -> ASGIApp:
        """Around everything, errors too, what lets pages of other servers read the answers."""
        if not origins:
            return super().__call__
        return CORSMiddleware(
            super().__call__,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["*"],
        )


def _serving(settings: Settings) -> Serving:
    tracer: Tracer = NoTracer()
    if settings.otlp_endpoint:
        tracer = OtlpTracer(settings.otlp_endpoint, version=VERSION)
    metrics = Metrics(lambda: _gauges(device))
    check_compute(settings.compute)
    device = device_of(settings.compute, cores=settings.workers, observer=metrics)
    registry = Registry(
        [open_repository(where, settings.cache_dir) for where in settings.repositories],
        device,
        queue_capacity=settings.queue_capacity,
        default_models=settings.default_models,
        check=check_bundle,
    )
    guard = guard_of(settings.api_keys, settings.api_keys_file)
    return Serving(settings, device, registry, metrics, tracer, guard)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    serving: Serving = app.state.serving
    serving.device.start()
    renewing = _renewing(serving)
    # In the background: /livez and /models answer while models load.
    loading = asyncio.create_task(serving.registry.rescan())
    try:
        async with renewing, _grpc(app), _resting(serving.device):
            if serving.settings.share_port:
                await loading  # who listens there is sent requests at once
            yield
    finally:
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading
        await asyncio.to_thread(serving.device.stop, drain_s=serving.settings.drain_s)
        serving.tracer.close()


def _renewing(serving: Serving) -> contextlib.AbstractAsyncContextManager[None]:
    """Builds the plans that models lack, where that is wanted."""
    compute = serving.settings.compute
    if compute.device != "tensorrt" or not compute.plans.build:
        return contextlib.nullcontext()
    from service.renewal import Renewal

    return Renewal(serving.registry, compute).running()


def _resting(device: Device) -> contextlib.AbstractAsyncContextManager[None]:
    """Gives memory back in quiet times, where graphs share an arena."""
    return contextlib.nullcontext() if device.compute.on_gpu else resting(device)


@contextlib.asynccontextmanager
async def _grpc(app: FastAPI) -> AsyncIterator[None]:
    """gRPC beside HTTP, where a port is set for it."""
    serving: Serving = app.state.serving
    if (port := serving.settings.grpc_port) is None:
        yield
        return
    try:
        from service.protocols.oip.grpc_server import GrpcServer
    except ImportError as error:
        raise RuntimeError("gRPC needs: pip install 'panoptes[grpc]'") from error
    server = app.state.grpc = GrpcServer(serving, app.state.readiness)
    await server.start(serving.settings.host, port)
    try:
        yield
    finally:
        await server.stop(serving.settings.drain_s)


def _gauges(device: Device) -> dict[str, LaneGauges]:
    scheduler = device.scheduler
    return {
        lane.name: LaneGauges(lane.queued, lane.running, scheduler.wait_s(lane))
        for lane in scheduler.lanes
    }


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(WEB / "index.html", headers=PAGE_HEADERS)

    app.mount("/web", _PageFiles(directory=WEB), name="web")


class _PageFiles(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(PAGE_HEADERS)
        return response


PAGE_HEADERS = {
    # A page and its modules must be of one version: browsers ask whether they have changed.
    "Cache-Control": "no-cache",
    # The page shows pictures that it made itself and talks to its own server, nothing else.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}


async def _on_error(request: Request, error: Exception) -> Response:
    return problem_response(problem_of(error, request.state.request_id), error)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = {404: f"there is nothing at {request.url.path}", 405: f"not with {request.method}"}
    return problem_response(
        plain_problem(
            error.status_code,
            detail.get(error.status_code, error.detail),
            request.state.request_id,
        )
    )


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    detail = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}"
    return problem_response(plain_problem(422, detail, request.state.request_id))
