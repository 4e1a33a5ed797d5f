"""What OpenAI's clients may ask of a painter, and what cannot be done for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.generation import GenerateOptions
from service.generation.noise import MAX_SEED
from service.generation.order import AUTO, MAX_GUIDANCE
from service.protocols.body import json_object
from service.protocols.openai.errors import ParameterError, parameter_error

Format = Literal["png", "jpeg", "webp"]
Quality = Literal["auto", "low", "medium", "high", "standard", "hd"]
STEPS_OF_QUALITY: Final[dict[Quality, float]] = {"low": 0.5, "high": 2.0, "hd": 2.0}
"""Times the steps that the model takes otherwise."""


class ImagesRequest(BaseModel):
    """What OpenAI's clients send; from `negative_prompt` on, what this server takes besides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(min_length=1)
    model: str | None = Field(
        default=None,
        max_length=80,
        description="`name` or `name:version`; without it the default model of `generate`",
    )
    n: int | None = Field(default=None, ge=1)
    size: str | None = Field(
        default=None, description="`128x128`, what the model paints, or `auto`"
    )
    response_format: Literal["b64_json", "url"] | None = Field(
        default=None, description="Only `b64_json`: pictures are not kept, and so have no URL"
    )
    output_format: Format | None = None
    output_compression: int | None = Field(
        default=None, ge=0, le=100, description="Of JPEG and WebP: 100 is the best"
    )
    quality: Quality | None = Field(
        default=None, description="`low` takes half the steps, `high` twice as many"
    )
    background: Literal["auto", "opaque", "transparent"] | None = Field(
        default=None, description="Pictures are opaque"
    )
    style: str | None = Field(default=None, description="Refused: say it in the prompt")
    moderation: Literal["auto", "low"] | None = Field(
        default=None, description="Accepted; nothing is moderated here"
    )
    stream: bool | None = None
    partial_images: int | None = Field(default=None, ge=0, le=3, description="With `stream`")
    user: str | None = Field(default=None, description="Accepted, and not kept")
    safety_identifier: str | None = Field(default=None, description="Accepted, and not kept")

    negative_prompt: str = ""
    steps: int | None = Field(default=None, ge=1)
    sampler: str | None = None
    guidance_scale: float | None = Field(default=None, ge=0, le=MAX_GUIDANCE, allow_inf_nan=False)
    eta: float = Field(default=0.0, ge=0, le=1)
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED)


def parse_request(data: bytes) -> ImagesRequest:
    try:
        request = ImagesRequest.model_validate(json_object(data))
    except ValidationError as error:
        raise parameter_error(error) from None
    for wrong, param, why in _REFUSED:
        if wrong(request):
            raise ParameterError(f"{param}: {why}", param=param)
    return request


_REFUSED: Sequence[tuple[Callable[[ImagesRequest], object], str, str]] = (
    (
        lambda r: r.response_format == "url",
        "response_format",
        "pictures are not kept here, and so have no URL; ask for b64_json",
    ),
    (
        lambda r: r.background == "transparent",
        "background",
        "pictures here have one, and none is transparent",
    ),
    (lambda r: r.style, "style", "is not taken apart from the prompt; say it there"),
    (
        lambda r: r.output_compression is not None and r.output_format not in ("jpeg", "webp"),
        "output_compression",
        "is for jpeg and webp; a PNG loses nothing",
    ),
    (
        lambda r: r.partial_images and not r.stream,
        "partial_images",
        "come with `stream` only",
    ),
    (lambda r: r.stream and (r.n or 1) > 1, "n", "a stream is of one picture"),
)


def options_of(request: ImagesRequest) -> GenerateOptions:
    return GenerateOptions(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        n=request.n or 1,
        steps=request.steps,
        sampler=request.sampler,
        guidance_scale=request.guidance_scale,
        eta=request.eta,
        seed=request.seed,
        size=request.size or AUTO,
        model=request.model,
    )
