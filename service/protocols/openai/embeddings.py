"""POST /v1/embeddings, as OpenAI has it: a list of texts, and of images as data URIs."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import ASGIApp, Receive, Scope

from service.engine.model import Model
from service.errors import PanoptesError
from service.protocols.answer import Answer
from service.protocols.body import (
    INLINE_BYTES,
    check_inputs,
    image_of_text,
    json_object,
    read_bytes,
)
from service.protocols.embedding import Towers, Vectors
from service.protocols.embedding.embed import INLINE_NUMBERS
from service.protocols.openai.errors import (
    ErrorAnswer,
    OpenAiEndpoint,
    ParameterError,
    parameter_error,
)
from service.protocols.rest import ONE_RED_PIXEL
from service.protocols.route import posts_to
from service.protocols.serving import Serving
from service.tasks.embed import TASK, dimensions_of

PATH: Final = "/v1/embeddings"
IMAGE_PREFIX: Final = "data:image/"


class EmbeddingsRequest(BaseModel):
    """What OpenAI's clients send."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: str | list[str] = Field(
        description="A text, or a list of texts; `data:image/…;base64,…` is an image"
    )
    model: str | None = Field(
        default=None,
        max_length=80,
        description="`name` or `name:version`; without it the default model of the task `embed`",
    )
    encoding_format: Literal["float", "base64"] = Field(
        default="float", description="Numbers, or little-endian float32 in base64"
    )
    dimensions: int | None = Field(
        default=None, description="Only as many as the model gives: its vectors cannot be cut"
    )
    user: str | None = Field(default=None, description="Accepted, and not kept")


class EmbeddingItem(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """Vectors of length 1, in the order of `input`."""

    object: Literal["list"] = "list"
    data: list[EmbeddingItem]
    model: str
    usage: Usage


def add_embeddings(router: APIRouter, serving: Serving) -> ASGIApp:
    """The route, documented by its types and answered by the endpoint returned."""
    endpoint = EmbeddingsEndpoint(serving)

    async def documented(
        request: Annotated[EmbeddingsRequest, Body(openapi_examples=_EXAMPLES)],
    ) -> None:
        """Never called: its signature is the documentation."""

    router.add_api_route(
        PATH,
        documented,
        methods=["POST"],
        operation_id="openai_embeddings",
        summary="Vectors of texts and images, as OpenAI's clients ask for them",
        description=_DESCRIPTION,
        tags=["OpenAI"],
        response_model=EmbeddingsAnswer,
        responses={
            200: {"content": {"application/json": {"example": _EXAMPLE}}},
            **{status: {"model": ErrorAnswer} for status in (400, 404, 413, 429, 503, 504)},
        },
        route_class_override=posts_to(endpoint),
    )
    return endpoint


class EmbeddingsEndpoint(OpenAiEndpoint):
    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        arrived = time.monotonic()
        serving = self._serving
        headers: dict[bytes, bytes] = dict(scope["headers"])
        data = await read_bytes(receive, headers, max_bytes=serving.settings.max_body_bytes)
        if len(data) <= INLINE_BYTES:
            request, inputs = _parse(data)
        else:
            request, inputs = await asyncio.to_thread(_parse, data)
        check_inputs(inputs, serving.settings)
        model = serving.registry.find(TASK, request.model)
        size = dimensions_of(model.bundle.manifest)
        if request.dimensions not in (None, size):
            raise ParameterError(
                f"the vectors of {model.ref} have {size} dimensions, and cannot be had in "
                f"{request.dimensions}",
                param="dimensions",
            )
        towers = Towers(serving, model, serving.terms(model, arrived, headers), scope)
        with model.hold():
            vectors = await towers.embed(inputs)
        _raise_the_first(vectors)
        if len(vectors) * size <= INLINE_NUMBERS:
            content = _write(request, model, vectors)
        else:
            content = await asyncio.to_thread(_write, request, model, vectors)
        scope["state"]["timings"] = towers.timings
        return Answer(model, content, "application/json", towers.timings, more=vectors.headers)


def _parse(data: bytes) -> tuple[EmbeddingsRequest, list[bytes | str]]:
    document = json_object(data)
    first = document["input"][:1] if isinstance(document.get("input"), list) else []
    if first and isinstance(first[0], int | list):
        raise ParameterError("input: texts are wanted, and these are tokens", param="input")
    try:
        request = EmbeddingsRequest.model_validate(document)
    except ValidationError as error:
        raise parameter_error(error) from None
    given = [request.input] if isinstance(request.input, str) else request.input
    if not given:
        raise ParameterError("input: there is nothing in it", param="input")
    return request, [image_of_text(e) if e.startswith(IMAGE_PREFIX) else e for e in given]


def _raise_the_first(vectors: Vectors) -> None:
    """The answer has no place for an error: one fails it all."""
    for index, each in enumerate(vectors):
        if isinstance(each.error, PanoptesError):
            each.error.detail = f"input {index}: {each.error.detail}"
        each.value()


def _write(request: EmbeddingsRequest, model: Model, vectors: Vectors) -> bytes:
    def said(vector: Any) -> Any:
        if request.encoding_format == "float":
            return vector
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()

    tokens = _tokens(vectors)
    answer = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": said(each.value())}
            for index, each in enumerate(vectors)
        ],
        "model": model.ref,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _tokens(vectors: Sequence[Any]) -> int:
    return sum(each.tokens for each in vectors)


# -- documentation

_DESCRIPTION = """What OpenAI's clients send: point `base_url` at this server's `/v1`. Texts
and images may be mixed in one `input`; an image is a data URI. Errors are in OpenAI's form."""

_EXAMPLES: Any = {
    "a text and a pixel": {
        "value": {"input": ["a red ball", f"{IMAGE_PREFIX}png;base64,{ONE_RED_PIXEL}"]}
    }
}
_EXAMPLE = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.55, -0.53, -0.54, 0.35]}],
    "model": "name:1",
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}
