"""GET /v1/models, as OpenAI has it: the models that its clients can ask here."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from service.engine.model import Model
from service.generation import TASK as GENERATE
from service.protocols.serving import Serving
from service.tasks.embed import TASK as EMBED

OWNER = "panoptes"


class ListedModel(BaseModel):
    id: str = Field(description="What `model` takes")
    object: Literal["model"] = "model"
    created: int = Field(description="Seconds since 1970, of its export")
    owned_by: str = OWNER


class ListedModels(BaseModel):
    object: Literal["list"] = "list"
    data: list[ListedModel]


def openai_models_router(serving: Serving) -> APIRouter:
    router = APIRouter(tags=["OpenAI"])

    @router.get("/v1/models", summary="The models that embed and paint")
    async def list_models() -> ListedModels:
        return ListedModels(
            data=[
                _listed(model)
                for model in serving.registry.ready()
                if model.bundle.manifest.task in (EMBED, GENERATE)
            ]
        )

    return router


def _listed(model: Model) -> ListedModel:
    created = model.bundle.manifest.provenance.created
    return ListedModel(id=model.ref, created=int(created.timestamp()))
