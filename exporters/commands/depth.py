"""`panoptes export depth` and `panoptes import depth`."""

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


def import_(
    folder: Annotated[
        Path, typer.Argument(help="With encoder.pth and depth.pth, as Monodepth2 publishes them.")
    ],
    name: Name,
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: HalfOrFull = "fp32",
    pairs: Annotated[
        Path | None,
        typer.Option(help="A stereo folder with test/, to prove and measure the graph on."),
    ] = None,
    evaluate: Annotated[int, typer.Option(min=0, help="On at most so many of its pairs.")] = 1000,
    farthest: Farthest = None,
    max_batch: MaxBatch = 16,
    licence: Licence = UNKNOWN_LICENCE,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Also keep the weights there, as a checkpoint.")
    ] = None,
) -> None:
    """Import a depth network of Monodepth2, and prove the graph equal to it.

    Golden inputs come from the pairs, if there are any. Else they are synthetic, and show that the
    graph computes the same.
    """
    from rich.console import Console

    from exporters.checkpoints.monodepth2 import LAYOUT, read_monodepth2
    from exporters.depth import DepthOptions, export_depth
    from exporters.depth_data import draw_pairs
    from exporters.images import GOLDEN_REAL_IMAGES
    from models.depth import save_depth
    from models.depth.recipe import DataSpec, FolderData

    console = Console()
    with told_errors():
        network, spec = read_monodepth2(folder)
        metadata = {"provenance": {"source": origin_of(str(folder), LAYOUT)}}
        if checkpoint is not None:
            save_depth(checkpoint, spec, network.state_dict(), metadata)
            console.print(f"the weights are in {checkpoint}", soft_wrap=True)
        unseen = None
        if pairs is not None:
            data = DataSpec(folder=FolderData(str(pairs)))
            unseen = draw_pairs(data, count=evaluate or GOLDEN_REAL_IMAGES)
        options = DepthOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            farthest=farthest,
            scenes=unseen.pixels(spec) if unseen else None,
            evaluation=unseen if evaluate else None,
        )
        exported = export_depth(network, spec, metadata, repository, options)
    _summarise(exported, console)


def _summarise(exported: Exported, console: Console) -> None:
    from exporters.commands.summary import show_exported, show_figures

    show_exported(exported, console)
    show_figures(exported, console)
