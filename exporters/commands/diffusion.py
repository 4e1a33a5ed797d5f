"""`panoptes export painter` and `panoptes import painter`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from exporters.commands.options import (
    BUNDLES,
    OUR_LICENCE,
    UNKNOWN_LICENCE,
    Checkpoint,
    HalfOrFull,
    Licence,
    MaxBatch,
    Name,
    Repository,
    Version,
    open_checkpoint,
    origin_of,
    told_errors,
)

if TYPE_CHECKING:
    from rich.console import Console

    from exporters.export import Exported

Sampler = Annotated[str, typer.Option(help="By default: ddpm, ddim, euler or dpm++.")]
Steps = Annotated[int, typer.Option(min=1, help="By default.")]
MaxSteps = Annotated[int, typer.Option(min=1, help="The most that a request may ask for.")]


def export(
    checkpoint: Checkpoint,
    name: Name,
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: HalfOrFull = "fp32",
    detector: Annotated[
        Path | None, typer.Option(help="A detector's checkpoint, to look at what is painted.")
    ] = None,
    classifier: Annotated[
        Path | None, typer.Option(help="A classifier's, to say the colours.")
    ] = None,
    evaluate: Annotated[
        int, typer.Option(min=0, help="On so many captions that training has not seen.")
    ] = 500,
    sampler: Sampler = "dpm++",
    steps: Steps = 20,
    max_steps: MaxSteps = 200,
    guidance: Annotated[float, typer.Option(help="By default; 1 is none.")] = 4.0,
    max_batch: MaxBatch = 16,
    licence: Licence = OUR_LICENCE,
) -> None:
    """Export a painter: prove its graphs equal to PyTorch, look whether its prompts come true.

    Captions are those of the test split of the recipe that trained the checkpoint. Without a
    detector and a classifier, or with --evaluate 0, nobody looks.
    """
    from rich.console import Console

    from exporters.diffusion import PainterOptions, export_painter
    from exporters.diffusion_painting import UnseenPrompts, read_unseen_pictures, some_pixels
    from exporters.unseen import recipe_data
    from models.diffusion import load_painter
    from models.diffusion.autoencoder_recipe import PictureData
    from models.diffusion.looking import Onlooker

    console = Console()
    with told_errors():
        painter, spec, tokenizer, metadata = open_checkpoint(load_painter, checkpoint)
        unseen = read_unseen_pictures(metadata, progress=console.is_terminal)
        evaluation = None
        if evaluate and detector is not None and classifier is not None:
            onlooker = Onlooker.of(detector, classifier, recipe_data(PictureData, metadata))
            evaluation = UnseenPrompts(unseen, min(evaluate, len(unseen)), onlooker)
        options = PainterOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            steps=steps,
            max_steps=max_steps,
            sampler=sampler,
            guidance=guidance,
            prompts=unseen.captions[:4],
            pictures=some_pixels(unseen),
            evaluation=evaluation,
        )
        exported = export_painter(painter, spec, tokenizer, metadata, repository, options)
    _summarise(exported, console)


def import_(
    folder: Annotated[
        Path, typer.Argument(help="With unet, vae, text_encoder, tokenizer and scheduler.")
    ],
    name: Name,
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: HalfOrFull = "fp16",
    sampler: Sampler = "dpm++",
    steps: Steps = 20,
    max_steps: MaxSteps = 200,
    guidance: Annotated[float, typer.Option(help="By default; 1 is none.")] = 7.5,
    max_batch: MaxBatch = 4,
    licence: Licence = UNKNOWN_LICENCE,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Also keep the weights there, as a checkpoint.")
    ] = None,
) -> None:
    """Import a Stable Diffusion 1.x in the folders of diffusers, and prove the graphs equal."""
    from rich.console import Console

    from exporters.checkpoints.stable_diffusion import LAYOUT, read_stable_diffusion
    from exporters.diffusion import PainterOptions, export_painter
    from models.diffusion import save_painter

    console = Console()
    with told_errors():
        painter, spec, tokenizer = read_stable_diffusion(folder)
        metadata = {"provenance": {"source": origin_of(str(folder), LAYOUT)}}
        if checkpoint is not None:
            save_painter(checkpoint, spec, tokenizer, painter.state_dict(), metadata)
            console.print(f"the weights are in {checkpoint}", soft_wrap=True)
        options = PainterOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            steps=steps,
            max_steps=max_steps,
            sampler=sampler,
            guidance=guidance,
        )
        exported = export_painter(painter, spec, tokenizer, metadata, repository, options)
    _summarise(exported, console)


def _summarise(exported: Exported, console: Console) -> None:
    from exporters.commands.summary import show_exported, show_figures

    show_exported(exported, console)
    show_figures(exported, console)
