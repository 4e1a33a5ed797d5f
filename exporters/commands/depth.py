"""`panoptes export depth`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from exporters.commands.options import (
    BUNDLES,
    OUR_LICENCE,
    Checkpoint,
    HalfOrFull,
    Licence,
    MaxBatch,
    Name,
    Repository,
    Version,
    open_checkpoint,
    told_errors,
)

if TYPE_CHECKING:
    from rich.console import Console

    from exporters.export import Exported

Farthest = Annotated[
    float | None,
    typer.Option(
        min=0.0, help="Nothing is farther: metres [80], or relative [256 times the nearest]."
    ),
]


def export(
    checkpoint: Checkpoint,
    name: Name,
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: HalfOrFull = "fp32",
    evaluate: Annotated[
        int, typer.Option(min=0, help="On at most so many pairs that training has not seen.")
    ] = 1000,
    farthest: Farthest = None,
    max_batch: MaxBatch = 16,
    licence: Licence = OUR_LICENCE,
) -> None:
    """Export a depth network: prove it equal to PyTorch, measure its depth as exported.

    The pairs are the test split of the recipe that trained the checkpoint. With --evaluate 0 the
    bundle is proven on some of them all the same.
    """
    from rich.console import Console

    from exporters.depth import DepthOptions, export_depth
    from exporters.depth_data import read_unseen_pairs
    from exporters.images import GOLDEN_REAL_IMAGES
    from models.depth import load_depth

    console = Console()
    with told_errors():
        network, spec, metadata = open_checkpoint(load_depth, checkpoint)
        unseen = read_unseen_pairs(
            spec, metadata, count=evaluate or GOLDEN_REAL_IMAGES, progress=console.is_terminal
        )
        options = DepthOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            farthest=farthest,
            scenes=unseen.pixels(spec),
            evaluation=unseen if evaluate else None,
        )
        exported = export_depth(network, spec, metadata, repository, options)
    _summarise(exported, console)


def _summarise(exported: Exported, console: Console) -> None:
    from exporters.commands.summary import show_exported, show_figures

    show_exported(exported, console)
    show_figures(exported, console)
