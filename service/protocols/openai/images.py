"""POST /v1/images/generations, as OpenAI has it: pictures in base64, at once or in events."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Body
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope

from service.errors import InvalidOptionError
from service.generation import Glimpse, Painting, Pixels, Queued, enlarge, png_of
from service.imaging import encode_jpeg, encode_png, encode_webp
from service.protocols import sse
from service.protocols.body import read_bytes
from service.protocols.commission import Commission, commission, timing_of
from service.protocols.openai.errors import (
    ErrorAnswer,
    OpenAiEndpoint,
    ParameterError,
    error_response,
)
from service.protocols.openai.images_request import (
    STEPS_OF_QUALITY,
    Format,
    ImagesRequest,
    options_of,
    parse_request,
)
from service.protocols.route import posts_to
from service.protocols.serving import Serving, while_connected

PATH: Final = "/v1/images/generations"
MAX_BODY_BYTES: Final = 1 << 20
BEST: Final = 100
PARTIAL: Final = "image_generation.partial_image"
COMPLETED: Final = "image_generation.completed"


class ImageItem(BaseModel):
    b64_json: str
    seed: int
    index: int


class InputTokens(BaseModel):
    text_tokens: int
    image_tokens: int = 0


class Usage(BaseModel):
    """Tokens of the prompt; pictures are not made of tokens here."""

    input_tokens: int
    input_tokens_details: InputTokens
    output_tokens: int = 0
    total_tokens: int


class ImagesAnswer(BaseModel):
    created: int
    data: list[ImageItem]
    size: str
    quality: str
    background: Literal["opaque"] = "opaque"
    output_format: Format
    usage: Usage


def add_images(router: APIRouter, serving: Serving) -> ASGIApp:
    """The route, documented by its types and answered by the endpoint returned."""
    endpoint = ImagesEndpoint(serving)

    async def documented(request: Annotated[ImagesRequest, Body()]) -> None:
        """Never called: its signature is the documentation."""

    router.add_api_route(
        PATH,
        documented,
        methods=["POST"],
        operation_id="openai_images",
        summary="Pictures of a prompt, as OpenAI's clients ask for them",
        description=_DESCRIPTION,
        tags=["OpenAI"],
        response_model=ImagesAnswer,
        responses={
            200: {"content": {sse.MEDIA_TYPE: {}}},
            **{status: {"model": ErrorAnswer} for status in (400, 404, 413, 429, 503, 504)},
        },
        route_class_override=posts_to(endpoint),
    )
    return endpoint


class ImagesEndpoint(OpenAiEndpoint):
    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        arrived = time.monotonic()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        request = parse_request(await read_bytes(receive, headers, max_bytes=MAX_BODY_BYTES))
        try:
            asked = commission(self._serving, options_of(request), arrived, headers)
            if request.steps is None and (times := STEPS_OF_QUALITY.get(request.quality or "auto")):
                asked = asked.with_steps(times)
        except InvalidOptionError as error:
            raise ParameterError(error.detail, param=error.detail.partition(":")[0]) from None
        writer = _Writer(asked, request)
        with asked.model.hold():
            if request.stream:
                return await _open_events(writer, scope)
            painting = asked.painting(writer.write)
            files = await while_connected(painting.paint(), scope)
        return Response(
            orjson.dumps(writer.answer(painting, files)),
            headers={**asked.headers, "server-timing": timing_of(painting, scope)},
            media_type="application/json",
        )


async def _open_events(writer: _Writer, scope: Scope) -> sse.EventStream:
    asked, partials = writer.asked, writer.request.partial_images or 0
    request_id = scope["state"]["request_id"]

    async def work(tell: sse.Tell) -> None:
        told = 0

        def hear(event: Queued | Glimpse) -> None:
            nonlocal told
            if isinstance(event, Queued):
                tell(sse.Remark("queued"))
            elif event.file is not None and told < partials:
                tell(writer.event(PARTIAL, event.file, partial_image_index=told))
                told += 1

        painting = asked.painting(
            writer.write,
            sketch=writer.sketch,
            listener=hear,
            preview_every=-(-asked.order.steps // (partials + 1)),
        )
        with asked.model.hold():
            (file,) = await painting.paint()
        timing_of(painting, scope)
        tell(writer.event(COMPLETED, file, usage=writer.usage(painting)))

    def last_words(error: Exception) -> sse.Event:
        return sse.Event("error", orjson.loads(error_response(error, request_id).body))

    return await sse.open_events(work, scope, headers=asked.headers, last_words=last_words)


@dataclass(frozen=True)
class _Writer:
    """Makes files of pixels as the request wants them, and answers of files."""

    asked: Commission
    request: ImagesRequest

    @property
    def form(self) -> Format:
        return self.request.output_format or "png"

    def write(self, index: int, pixels: Pixels) -> bytes:
        if self.form != "png":
            return self._encode(pixels)
        return png_of(pixels, self.asked.order.of_one(index), self.asked.painter.digest)

    def sketch(self, pixels: Pixels) -> bytes:
        """A preview, as large as the picture will be: clients show them in one place."""
        return self._encode(enlarge(pixels, self.asked.painter.sizes.image))

    def _encode(self, pixels: Pixels) -> bytes:
        quality = self.request.output_compression
        match self.form:
            case "jpeg":
                return encode_jpeg(pixels, quality=BEST if quality is None else quality)
            case "webp":
                return encode_webp(pixels, quality=BEST if quality is None else quality)
            case "png":
                return encode_png(pixels)

    def event(self, name: str, file: bytes, **more: Any) -> sse.Event:
        return sse.Event(
            name,
            {
                "type": name,
                "b64_json": base64.b64encode(file).decode(),
                "created_at": int(time.time()),
                **self._described,
                **more,
            },
        )

    def answer(self, painting: Painting, files: Sequence[bytes]) -> dict[str, Any]:
        order = painting.order
        return {
            "created": int(time.time()),
            "data": [
                {"b64_json": base64.b64encode(f).decode(), "seed": order.seed, "index": index}
                for index, f in zip(order.indices, files, strict=True)
            ],
            **self._described,
            "usage": self.usage(painting),
        }

    def usage(self, painting: Painting) -> dict[str, Any]:
        assert painting.prompt is not None
        tokens = painting.prompt.tokens
        return {
            "input_tokens": tokens,
            "input_tokens_details": {"text_tokens": tokens, "image_tokens": 0},
            "output_tokens": 0,
            "total_tokens": tokens,
        }

    @property
    def _described(self) -> dict[str, str]:
        return {
            "size": self.asked.order.size,
            "quality": self.request.quality or "auto",
            "background": "opaque",
            "output_format": self.form,
        }


_DESCRIPTION = """What OpenAI's clients send: point `base_url` at this server's `/v1`. With
`stream`, events of the types `image_generation.partial_image` and `image_generation.completed`.
Errors are in OpenAI's form."""
