"""Painters: a graph that reads a prompt, one that takes a step of any sampler, one that decodes.

B batch, T tokens, D their width, C h w latents, H W pixels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer
from torch import Tensor, nn

from exporters.bundle import TOKENIZER_FILE, BundleSpec, build_bundle
from exporters.card import Card, usage
from exporters.diffusion_data import Glimpse, GoldenSteps, fit_preview, golden_steps
from exporters.diffusion_painting import GraphPainter, UnseenPrompts
from exporters.export import (
    Exported,
    ExportOptions,
    GraphSource,
    Made,
    Output,
    check_options,
    describe,
    make_graph,
    scratch,
)
from exporters.figures import (
    Measured,
    measure_graphs,
    measured_quality,
    parity_quality,
    trained_quality,
)
from exporters.images import Pixels, golden_images
from exporters.parity import FP32_TOLERANCE, PARITY_BATCHES
from models.diffusion import Painter, PainterSpec, noise_defaults, step
from service.bundle import Quality

TASK: Final = "generate"
TEXT, STEP, DECODE = "text", "step", "decode"

#: A network this large is proven at small batches alone: eight of it fill a machine's memory.
LARGE_PARAMETERS: Final = 100_000_000
LARGE_BATCHES: Final = (1, 2)


class TextGraph(nn.Module):
    """The text tower's states, which cross-attention reads."""

    def __init__(self, painter: Painter) -> None:
        super().__init__()
        self.text = painter.text

    def forward(self, tokens: Tensor) -> Tensor:
        """int64 [B, T] -> [B, T, D]"""
        hidden: Tensor = self.text(tokens)
        return hidden


class StepGraph(nn.Module):
    """The network with guidance and the sampler's update: see `models.diffusion.step`."""

    def __init__(self, painter: Painter) -> None:
        super().__init__()
        self.painter = painter

    def forward(
        self,
        latents: Tensor,
        timestep: Tensor,
        cond: Tensor,
        uncond: Tensor,
        guidance: Tensor,
        coefficients: Tensor,
        previous: Tensor,
        noise: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The next latents, and what the network takes the clean ones to be, [B, C, h, w] each."""
        return step(
            self.painter,
            latents,
            timestep,
            cond,
            uncond,
            guidance,
            coefficients,
            previous,
            noise,
        )


class DecodeGraph(nn.Module):
    """The autoencoder's second half."""

    def __init__(self, painter: Painter) -> None:
        super().__init__()
        self.painter = painter

    def forward(self, latents: Tensor) -> Tensor:
        """[B, C, h, w] -> uint8 [B, H, W, 3]"""
        return self.painter.decode(latents)


@dataclass(frozen=True)
class PainterOptions(ExportOptions):
    """`pictures` (uint8 [N, H, W, 3] of the painter's size) teach the preview its colours."""

    steps: int = 20
    max_steps: int = 200
    sampler: str = "dpm++"
    guidance: float = 4.0
    prompts: Sequence[str] = ()
    pictures: Pixels | None = None
    evaluation: UnseenPrompts | None = None


def export_painter(
    painter: Painter,
    spec: PainterSpec,
    tokenizer: Tokenizer,
    metadata: Mapping[str, Any],
    repository: Path,
    options: PainterOptions,
) -> Exported:
    """Write a bundle of three graphs and the tokenizer, which gives exactly T ids.

    ParityError where a float32 graph is further from PyTorch than 1e-4, in proportion to what an
    error of the network grows to in a step, or a pixel by more than one level.
    """
    check_options(options, repository, what="a painter")
    golden = golden_steps(painter, tokenizer, options.prompts)
    with scratch() as folder:
        made = {
            role: make_graph(source, Path(folder, f"{role}.onnx"), options)
            for role, source in _sources(painter, golden).items()
        }
        measured = _measure(made, spec, tokenizer, options)
    parity = {role: each.proven.parity for role, each in made.items()}
    quality = [*trained_quality(metadata)]
    for role, output in ((TEXT, "hidden"), (STEP, "next_latents"), (DECODE, "image")):
        quality += parity_quality(parity[role], output)
    if options.evaluation is not None:
        twins = measured_quality(
            measured,
            options.evaluation.description,
            twins=lambda name: name.startswith("true"),
        )
        quality += twins
    preview = fit_preview(painter, golden_images(*spec.image_size, options.pictures))
    with tempfile.TemporaryDirectory(prefix="panoptes-export-") as place:
        file = Path(place, TOKENIZER_FILE)
        tokenizer.save(str(file))
        described = _describe(spec, metadata, options, quality, preview, file)
        parts = {role: each.part for role, each in made.items()}
        written = build_bundle(repository, described, parts)
    return Exported(written, parity, measured)


def _sources(painter: Painter, golden: GoldenSteps) -> dict[str, GraphSource]:
    parameters = sum(p.numel() for p in painter.unet.parameters())
    batches = LARGE_BATCHES if parameters > LARGE_PARAMETERS else PARITY_BATCHES
    grown = FP32_TOLERANCE * golden.amplification
    outputs = (Output("next_latents", tolerance=grown), Output("clean", tolerance=grown))
    return {
        TEXT: GraphSource(
            TextGraph(painter).eval(), {"tokens": golden.tokens}, (Output("hidden"),), batches
        ),
        STEP: GraphSource(StepGraph(painter).eval(), golden.inputs, outputs, batches),
        DECODE: GraphSource(
            DecodeGraph(painter).eval(),
            {"latents": golden.clean},
            # Half a level rounds up here and down there.
            (Output("image", tolerance=1.0),),
            batches,
        ),
    }


def _measure(
    made: Mapping[str, Made], spec: PainterSpec, tokenizer: Tokenizer, options: PainterOptions
) -> Measured:
    unseen = options.evaluation
    if unseen is None:
        return Measured()
    return measure_graphs(
        lambda graphs: unseen.measure(
            GraphPainter(
                graphs,
                spec,
                tokenizer,
                sampler=options.sampler,
                steps=options.steps,
                guidance=options.guidance,
            )
        ),
        shipped={role: each.graph for role, each in made.items()},
        original={role: each.proven.graph for role, each in made.items()},
        precision=options.precision,
    )


def _describe(
    spec: PainterSpec,
    metadata: Mapping[str, Any],
    options: PainterOptions,
    quality: Sequence[Quality],
    preview: Glimpse,
    tokenizer: Path,
) -> BundleSpec:
    height, width = spec.image_size
    return describe(
        options,
        metadata,
        task=TASK,
        summary=f"Paints {width} × {height} pixels from words (latent diffusion)",
        card=_card(spec, options),
        quality=quality,
        defaults={
            **noise_defaults(spec.noise),
            "steps": options.steps,
            "max_steps": min(options.max_steps, spec.noise.train_steps),
            "sampler": options.sampler,
            "guidance_scale": options.guidance,
            "preview": preview.as_text(),
        },
        tokenizer=tokenizer,
    )


def _card(spec: PainterSpec, options: PainterOptions) -> Card:
    height, width = spec.image_size
    latents = " × ".join(map(str, spec.latent_shape))
    figures = (
        " The figures named `true` are closed loops: captions of scenes that training has not seen "
        "are painted, and a detector and a classifier of this world look whether exactly the "
        "stated things, of the stated colours, are there. `_one` are captions of one thing, "
        "`_more` of two or three; `real_` are the same figures of the real pictures, the most that "
        "the onlookers allow."
    )
    return Card(
        knows=(
            f"Latent diffusion: a U-Net removes noise from {latents} latents, told the way by the "
            f"states of a text tower that reads {spec.text.length - 2} tokens; an autoencoder "
            f"makes {width} × {height} pixels of what is left. It predicts "
            f"{'v' if spec.noise.prediction == 'v' else 'the noise'} on the {spec.noise.schedule} "
            f"schedule of {spec.noise.train_steps} steps.{figures if options.evaluation else ''}"
        ),
        limits=(
            "It paints what its training data showed (see below), in those words; a word that it "
            "does not know changes the picture in ways that mean nothing. More things than it "
            "saw together, and where they stand to one another, often go wrong."
        ),
        usage=usage(
            "curl -H 'Content-Type: application/json' "
            f'-d \'{{"prompt": "{_example(options)}", "model": "{options.name}"}}\' '
            "localhost:8000/generate > out.png"
        ),
    )


def _example(options: PainterOptions) -> str:
    return next((p for p in options.prompts if p and "'" not in p and '"' not in p), "a red ball")
