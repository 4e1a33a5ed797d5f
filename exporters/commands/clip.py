"""`panoptes export clip` and `panoptes import clip`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
    Source,
    Version,
    open_checkpoint,
    origin_of,
    told_errors,
)

if TYPE_CHECKING:
    from rich.console import Console

    from exporters.export import Exported


def export(
    checkpoint: Checkpoint,
    name: Name,
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: HalfOrFull = "fp32",
    evaluate: Annotated[
        int, typer.Option(min=0, help="Among so many captions that training has not seen.")
    ] = 500,
    max_batch: MaxBatch = 64,
    licence: Licence = OUR_LICENCE,
) -> None:
    """Export a CLIP: prove both towers equal to PyTorch, measure what their embeddings find.

    Images and texts are the test split of the recipe that trained the checkpoint. With --evaluate 0
    the bundle is proven on some of them all the same.
    """
    from rich.console import Console

    from exporters.clip import ClipOptions, export_clip
    from exporters.clip_data import read_unseen_captions
    from exporters.images import GOLDEN_REAL_IMAGES
    from models.clip import load_clip

    console = Console()
    with told_errors():
        network, spec, tokenizer, metadata = open_checkpoint(load_clip, checkpoint)
        unseen = read_unseen_captions(
            metadata, count=evaluate or GOLDEN_REAL_IMAGES, progress=console.is_terminal
        )
        options = ClipOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            scenes=unseen.pixels(spec),
            evaluation=unseen if evaluate else None,
        )
        exported = export_clip(network, spec, tokenizer, metadata, repository, options)
    _summarise(exported, console)


def import_(
    source: Source,
    layout: Annotated[
        Literal["hf-clip", "open-clip"], typer.Option(help="Whose names the file's tensors have.")
    ],
    name: Name,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="tokenizer.json, OpenAI's .txt.gz, or a folder with vocab.json and merges.txt; "
            "looked for beside the weights if not given."
        ),
    ] = None,
    activation: Annotated[
        Literal["gelu", "quick_gelu"] | None,
        typer.Option(help="What the weights were trained with, if no config.json tells."),
    ] = None,
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: HalfOrFull = "fp32",
    max_batch: MaxBatch = 32,
    licence: Licence = UNKNOWN_LICENCE,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Also keep the weights there, to train from.")
    ] = None,
) -> None:
    """Import a CLIP of Hugging Face or open_clip with its tokenizer, and prove the graphs equal."""
    from rich.console import Console

    from exporters.checkpoints.clip_tokenizer import FILES, read_tokenizer
    from exporters.checkpoints.clips import CONFIGS, convert_clip, read_config, text_length
    from exporters.checkpoints.files import fetch_beside, read_weights
    from exporters.clip import ClipOptions, export_clip
    from models.clip import save_clip

    console = Console()
    with told_errors():
        beside = fetch_beside(source, (*CONFIGS, *FILES))
        weights = read_weights(source)
        reads = read_tokenizer(tokenizer or beside, text_length(weights))
        network, spec = convert_clip(
            weights, reads, layout=layout, activation=activation, config=read_config(beside)
        )
        metadata = {"provenance": {"source": origin_of(source, layout)}}
        if checkpoint is not None:
            save_clip(checkpoint, spec, reads, network.state_dict(), metadata)
            console.print(f"the weights are in {checkpoint}, to train from", soft_wrap=True)
        options = ClipOptions(
            name=name, version=version, precision=precision, licence=licence, max_batch=max_batch
        )
        exported = export_clip(network, spec, reads, metadata, repository, options)
    _summarise(exported, console)


def _summarise(exported: Exported, console: Console) -> None:
    from exporters.commands.summary import show_exported, show_figures

    show_exported(exported, console)
    show_figures(exported, console)
