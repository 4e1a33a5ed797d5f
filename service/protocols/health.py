"""/livez, /readyz and /metrics: the truth for probes and for Prometheus."""

from __future__ import annotations

import asyncio
import time

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from service.engine.model import Model
from service.errors import BusyError, PanoptesError
from service.protocols.serving import Serving

RECENT_S = 5.0
"""A real inference that succeeded so recently is proof enough."""
PROBE_TIMEOUT_S = 2.0


class Readiness:
    """Ready: every repository was scanned, some model serves, and each that does has just run."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._proved_at: dict[Model, float] = {}

    async def why_not(self) -> str | None:
        """None if ready, else the reason."""
        serving = self._serving
        if serving.draining:
            return "draining"
        if not serving.registry.first_scan.is_set():
            return "models are being loaded"
        if not serving.device.healthy:
            return f"device {serving.device.name} is being rebuilt"
        models = list(serving.registry.ready())
        if not models:
            return "no model is loaded; see /models"
        self._proved_at = {m: t for m, t in self._proved_at.items() if m in models}
        problems = await asyncio.gather(*map(self._prove, models))
        return next(filter(None, problems), None)

    async def _prove(self, model: Model) -> str | None:
        """None if it answers, else which one does not, and why."""
        if time.monotonic() - self._proved_at.get(model, -RECENT_S) < RECENT_S:
            return None
        try:
            with model.hold():
                await model.probe(PROBE_TIMEOUT_S)
        except BusyError:
            return None  # a full queue is a server at work; its answers are proof enough
        except PanoptesError as error:
            return f"{model.ref}: {error.detail}"
        self._proved_at[model] = time.monotonic()
        return None


def health_router(serving: Serving, readiness: Readiness) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/livez", summary="The process answers")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get(
        "/readyz",
        summary="Every model has just answered a real input",
        responses={503: {"description": "Not ready, with the reason"}},
    )
    async def readyz() -> JSONResponse:
        reason = await readiness.why_not()
        if reason is None:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "not ready", "reason": reason}, status_code=503)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        models = serving.registry.entries()
        serving.metrics.models_ready.set(sum(entry.state == "ready" for entry in models))
        serving.metrics.models_failed.set(sum(entry.state == "failed" for entry in models))
        return Response(
            serving.metrics.exposition(), headers={"Content-Type": serving.metrics.content_type}
        )

    return router
