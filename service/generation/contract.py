"""What a bundle of the task `generate` must have, and the sizes that it says.

B batch, T tokens of a prompt, D their width, C h w latents, H W pixels, K coefficients of a step.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.bundle import BundleError, Manifest, TensorSpec
from service.generation.preview import preview_of
from service.sampling import SAMPLERS, schedule_of
from service.text.tokenizer import tokens_of

TASK = "generate"
COEFFICIENTS = 6
"""The columns a, b, c, d, p, q of a sampler's plan."""

DEFAULT_STEPS = 20
DEFAULT_SAMPLER = "ddim"
DEFAULT_GUIDANCE = 5.0


@dataclass(frozen=True)
class Sizes:
    tokens: int
    width: int
    """Of one token's hidden state."""
    latents: tuple[int, int, int]
    """C, h, w."""
    image: tuple[int, int]
    """H, W."""
    next_latents: str
    """What the step graph calls its first output."""
    estimate: str
    """And its second, which its next run takes as `previous`."""


def sizes_of(manifest: Manifest) -> Sizes:
    """BundleError unless the graphs fit together as text -> steps -> image."""
    if missing := [role for role in ("text", "step", "decode") if role not in manifest.graphs]:
        raise BundleError(f"the task needs graphs text, step and decode; missing: {missing[0]}")
    tokens = tokens_of(manifest)
    width = _fixed(manifest, "text", "hidden", 2)[1]
    channels, high, wide = _fixed(manifest, "decode", "latents", 3)
    image_high, image_wide, _ = _fixed(manifest, "decode", "image", 3)
    latents, hidden = (channels, high, wide), (tokens, width)
    _expect(manifest, "text", "outputs", {"hidden": ("float32", hidden)})
    _expect(
        manifest,
        "step",
        "inputs",
        {
            **dict.fromkeys(("latents", "previous", "noise"), ("float32", latents)),
            **dict.fromkeys(("cond", "uncond"), ("float32", hidden)),
            **dict.fromkeys(("timestep", "guidance"), ("float32", ())),
            "coefficients": ("float32", (COEFFICIENTS,)),
        },
    )
    after = [(t.dtype, t.shape[1:]) for t in manifest.graphs["step"].outputs]
    if after != [("float32", latents)] * 2:
        raise BundleError(
            f"graph 'step' must give the latents after it and an estimate, each {list(latents)}"
        )
    next_latents, estimate = (t.name for t in manifest.graphs["step"].outputs)
    _expect(manifest, "decode", "inputs", {"latents": ("float32", latents)})
    _expect(manifest, "decode", "outputs", {"image": ("uint8", (image_high, image_wide, 3))})
    return Sizes(tokens, width, latents, (image_high, image_wide), next_latents, estimate)


def check_generator(manifest: Manifest) -> None:
    """BundleError unless this server can paint with that bundle."""
    sizes = sizes_of(manifest)
    defaults = manifest.defaults
    try:
        schedule = schedule_of(defaults)
        preview_of(defaults, channels=sizes.latents[0])
    except KeyError as error:
        raise BundleError(f"defaults do not say {error.args[0]!r}") from None
    except ValueError as error:
        raise BundleError(f"defaults: {error}") from None
    sampler = defaults.get("sampler", DEFAULT_SAMPLER)
    if sampler not in SAMPLERS:
        raise BundleError(f"defaults: no sampler {sampler!r}; there are {', '.join(SAMPLERS)}")
    most = most_steps(manifest)
    steps = default_steps(manifest)
    if not 1 <= steps <= most <= schedule.train_steps:
        raise BundleError(
            f"defaults: {steps} steps, at most {most}, of {schedule.train_steps} in training"
        )


def default_steps(manifest: Manifest) -> int:
    return int(manifest.defaults.get("steps", DEFAULT_STEPS))


def most_steps(manifest: Manifest) -> int:
    return int(manifest.defaults.get("max_steps", manifest.defaults["train_steps"]))


def _fixed(manifest: Manifest, role: str, name: str, axes: int) -> tuple[int, ...]:
    """The sizes of one tensor behind its batch, all of them known beforehand."""
    graph = manifest.graphs[role]
    found = [t for t in (*graph.outputs, *graph.inputs) if t.name == name]
    if not found:
        raise BundleError(f"graph {role!r} has no {name!r}")
    shape = found[0].shape[1:]
    sizes = tuple(size for size in shape if isinstance(size, int))
    if len(sizes) != axes or len(shape) != axes:
        raise BundleError(f"graph {role!r}: {name} is {list(shape)}, not {axes} fixed sizes")
    return sizes


def _expect(
    manifest: Manifest, role: str, side: str, wanted: dict[str, tuple[str, tuple[int, ...]]]
) -> None:
    specs: tuple[TensorSpec, ...] = getattr(manifest.graphs[role], side)
    found = {t.name: (t.dtype, t.shape[1:]) for t in specs}
    if found != wanted:
        listed = ", ".join(f"{n} {kind} {['batch', *s]}" for n, (kind, s) in wanted.items())
        raise BundleError(f"graph {role!r} must have as its {side}: {listed}")
