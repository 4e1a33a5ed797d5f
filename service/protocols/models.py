"""GET /models: what is served, what could not be, and why; and loading and unloading."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from service.bundle import Fit, Graph, Label, Provenance, Quality
from service.bundle.manifest import ModelName
from service.engine.backends.unplanned import Unplanned
from service.errors import NotFoundError
from service.protocols.problems import Problem
from service.protocols.serving import Serving
from service.registry import Entry, State


class LaneStatus(BaseModel):
    """One graph as it runs here."""

    queued: int
    running: int
    max_batch: int = Field(description="The bundle's, or less after the device ran out of memory")
    cost_ms: dict[int, float] = Field(description="Milliseconds of one worker by batch size")
    golden_drift: float = Field(description="Largest difference from PyTorch, seen at load")
    without_plan: str | None = Field(
        default=None, description="Why ONNX Runtime runs it, where TensorRT was asked for"
    )


class ModelStatus(BaseModel):
    """One version of a model."""

    name: str
    version: int
    state: State
    reason: str = Field(default="", description="Why it is not served")
    default: bool = Field(default=False, description="Answers when a request names no model")
    task: str | None = None
    summary: str | None = None
    digest: str | None = Field(default=None, description="sha256 of the manifest")
    load_s: float | None = None
    lanes: dict[str, LaneStatus] | None = None


class ModelList(BaseModel):
    models: list[ModelStatus]
    problems: list[str] = Field(default=[], description="Repositories that cannot be read")


class ModelDetails(ModelStatus):
    """All that its manifest says, too."""

    labels: tuple[Label, ...] = ()
    fit: Fit | None = None
    graphs: dict[str, Graph] = {}
    defaults: dict[str, bool | int | float | str] = {}
    quality: tuple[Quality, ...] = ()
    provenance: Provenance | None = None
    licence: str | None = None


Name = Annotated[ModelName, Path(description="The model")]
Version = Annotated[int, Path(ge=1, description="The version")]


def models_router(serving: Serving) -> APIRouter:
    missing: dict[int | str, dict[str, Any]] = {
        404: {"model": Problem, "description": "No such model"}
    }
    router = APIRouter(tags=["models"])
    registry = serving.registry

    @router.get("/models", summary="Every version of every model")
    async def list_models() -> ModelList:
        return ModelList(
            models=[status_of(entry, serving) for entry in registry.entries()],
            problems=registry.problems,
        )

    @router.get("/models/{name}", summary="One model, its versions in full", responses=missing)
    async def show_model(name: Name) -> list[ModelDetails]:
        if not (entries := registry.versions(name)):
            raise NotFoundError(f"there is no model {name!r}")
        return [details_of(entry, serving) for entry in entries]

    if serving.settings.admin:

        @router.post("/models/rescan", summary="Load what is new, unload what is gone")
        async def rescan() -> ModelList:
            await registry.rescan()
            return await list_models()

        @router.post("/models/{name}/{version}/load", responses=missing)
        async def load(name: Name, version: Version) -> ModelStatus:
            return status_of(await registry.load(name, version), serving)

        @router.post("/models/{name}/{version}/unload", responses=missing)
        async def unload(name: Name, version: Version) -> ModelStatus:
            return status_of(await registry.unload(name, version), serving)

    return router


def status_of(entry: Entry, serving: Serving) -> ModelStatus:
    status = ModelStatus(
        name=entry.ref.name, version=entry.ref.version, state=entry.state, reason=entry.reason
    )
    if (model := entry.model) is None:
        return status
    manifest = model.bundle.manifest
    return status.model_copy(
        update={
            "default": serving.registry.find(manifest.task, None) is model,
            "task": manifest.task,
            "summary": manifest.summary,
            "digest": model.bundle.digest,
            "load_s": round(model.load_s, 3),
            "lanes": {
                role: LaneStatus(
                    queued=lane.queued,
                    running=lane.running,
                    max_batch=lane.batch_cap,
                    cost_ms={b: round(s * 1e3, 3) for b, s in lane.cost.points().items()},
                    golden_drift=model.drift[role],
                    without_plan=lane.backend.why if isinstance(lane.backend, Unplanned) else None,
                )
                for role, lane in model.lanes.items()
            },
        }
    )


def details_of(entry: Entry, serving: Serving) -> ModelDetails:
    status = status_of(entry, serving).model_dump()
    if entry.model is None:
        return ModelDetails(**status)
    manifest = entry.model.bundle.manifest
    wanted = {"labels", "fit", "graphs", "defaults", "quality", "provenance", "licence"}
    return ModelDetails(**status, **manifest.model_dump(include=wanted))
