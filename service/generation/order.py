"""What a client may ask of a painter, and what is painted once nothing is left open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from service.bundle import Manifest
from service.errors import InvalidOptionError
from service.generation.contract import (
    DEFAULT_GUIDANCE,
    DEFAULT_SAMPLER,
    Sizes,
    default_steps,
    most_steps,
)
from service.generation.noise import MAX_SEED, draw_seed
from service.sampling import SAMPLERS

MAX_INDEX = 2**31 - 1
MAX_GUIDANCE = 50.0
AUTO = "auto"


class GenerateOptions(BaseModel):
    """The body of POST /generate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str = Field(min_length=1, description="What is to be seen, in words")
    negative_prompt: str = Field(default="", description="What is to be kept away from, in words")
    n: int = Field(default=1, ge=1, description="How many pictures")
    steps: int | None = Field(
        default=None, ge=1, description="More are slower and finer; default the model's"
    )
    sampler: str | None = Field(
        default=None, description=f"One of {', '.join(SAMPLERS)}; default the model's"
    )
    guidance_scale: float | None = Field(
        default=None,
        ge=0,
        le=MAX_GUIDANCE,
        allow_inf_nan=False,
        description="How closely the prompt is followed: 1 as the model learned it, more is "
        "closer and less varied; default the model's",
    )
    eta: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="How much fresh noise `ddim` adds at each step; other samplers take none",
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        le=MAX_SEED,
        description="The same seed paints the same picture; without one it is drawn, and told",
    )
    index: int = Field(
        default=0,
        ge=0,
        le=MAX_INDEX,
        description="Which picture of the seed is the first: with it, one of several that were "
        "painted together can be painted again alone",
    )
    size: str = Field(
        default=AUTO, description="`128x128`, width by height, or `auto`: what the model paints"
    )
    model: str | None = Field(
        default=None,
        max_length=80,
        description="`name` or `name:version`; without it the default model of the task",
    )
    format: str | None = Field(
        default=None, description="The form of the answer, where `Accept` cannot be set"
    )
    preview_every: int | None = Field(
        default=None,
        ge=1,
        description="With `text/event-stream`: so many steps lie between two previews; default "
        "an eighth of them",
    )


class Limits(Protocol):
    """How much one request may ask for."""

    @property
    def max_text_chars(self) -> int: ...
    @property
    def max_steps(self) -> int: ...
    @property
    def max_generated_images(self) -> int: ...


@dataclass(frozen=True)
class Order:
    """Everything that decides how the pictures look."""

    prompt: str
    negative_prompt: str
    n: int
    steps: int
    sampler: str
    guidance_scale: float
    eta: float
    seed: int
    index: int
    size: str
    model: str

    @property
    def indices(self) -> range:
        return range(self.index, self.index + self.n)

    def of_one(self, index: int) -> Mapping[str, Any]:
        """A body for POST /generate that paints this one picture again."""
        said = {
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "steps": self.steps,
            "sampler": self.sampler,
            "guidance_scale": self.guidance_scale,
            "eta": self.eta,
            "seed": self.seed,
            "index": index,
            "size": self.size,
            "model": self.model,
        }
        return {name: value for name, value in said.items() if value != ""}


def order_of(options: GenerateOptions, manifest: Manifest, sizes: Sizes, limits: Limits) -> Order:
    """Fills in what was left open; InvalidOptionError names the field that cannot be."""
    for name in ("prompt", "negative_prompt"):
        if len(text := getattr(options, name)) > limits.max_text_chars:
            raise InvalidOptionError(
                f"{name}: {len(text)} characters, more than {limits.max_text_chars}"
            )
    if options.n > limits.max_generated_images:
        raise InvalidOptionError(f"n: {options.n}, more than {limits.max_generated_images}")
    defaults = manifest.defaults
    steps = options.steps or default_steps(manifest)
    most = min(most_steps(manifest), limits.max_steps)
    if steps > most:
        if options.steps is None:
            steps = most
        else:
            raise InvalidOptionError(f"steps: {steps}, more than {most}")
    sampler = options.sampler or str(defaults.get("sampler", DEFAULT_SAMPLER))
    if sampler not in SAMPLERS:
        raise InvalidOptionError(f"sampler: {sampler!r} is none of {', '.join(SAMPLERS)}")
    if options.eta and sampler != "ddim":
        raise InvalidOptionError(f"eta: ddim takes it, and {sampler} does not")
    high, wide = sizes.image
    size = f"{wide}x{high}"
    if options.size not in (AUTO, size):
        raise InvalidOptionError(f"size: {manifest.ref} paints {size}, and not {options.size!r}")
    guidance = options.guidance_scale
    if guidance is None:
        guidance = float(defaults.get("guidance_scale", DEFAULT_GUIDANCE))
    return Order(
        prompt=options.prompt,
        negative_prompt=options.negative_prompt,
        n=options.n,
        steps=steps,
        sampler=sampler,
        guidance_scale=guidance,
        eta=options.eta,
        seed=draw_seed() if options.seed is None else options.seed,
        index=options.index,
        size=size,
        model=manifest.ref,
    )
