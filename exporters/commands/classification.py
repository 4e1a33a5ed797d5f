"""`panoptes export classifier` and `panoptes import classifier`."""

from __future__ import annotations

from dataclasses import replace
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
    Size,
    Source,
    Version,
    open_checkpoint,
    origin_of,
    read_size,
    told_errors,
)

if TYPE_CHECKING:
    from rich.console import Console

    from exporters.classification import ExportedClassifier


def export(
    checkpoint: Checkpoint,
    name: Name,
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: Annotated[
        Literal["fp32", "fp16", "fp16-compute", "int8"],
        typer.Option(
            help="fp16 halves the file, fp16-compute the work of a GPU too; int8 quarters the file "
            "and is faster on CPUs."
        ),
    ] = "fp32",
    calibrate: Annotated[
        str,
        typer.Option(metavar="DATA", help="For int8: 'recipe', or an image folder with train/."),
    ] = "recipe",
    calibrate_count: Annotated[int, typer.Option(min=8, help="How many images of it.")] = 512,
    evaluate: Annotated[
        str,
        typer.Option(
            metavar="DATA", help="'recipe', an image folder with test/ or val/, or 'none'."
        ),
    ] = "recipe",
    evaluate_count: Annotated[int, typer.Option(min=1, help="At most so many of it.")] = 10_000,
    max_batch: MaxBatch = 64,
    licence: Licence = OUR_LICENCE,
) -> None:
    """Export a classifier: prove it equal to PyTorch, lower its precision, measure what that costs.

    With 'recipe' the images are those of the recipe that trained the checkpoint: its train split
    calibrates, its test split evaluates.
    """
    from rich.console import Console

    from exporters.classification import ClassifierOptions, export_classifier
    from exporters.classification_data import read_labelled
    from models.classification import load_classifier

    console = Console()
    show = console.is_terminal
    with told_errors():
        network, spec, metadata = open_checkpoint(load_classifier, checkpoint)
        options = ClassifierOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            calibration=None
            if precision != "int8"
            else read_labelled(
                calibrate, spec, metadata, use="calibrate", count=calibrate_count, progress=show
            ),
            evaluation=None
            if evaluate == "none"
            else read_labelled(
                evaluate, spec, metadata, use="evaluate", count=evaluate_count, progress=show
            ),
        )
        exported = export_classifier(network, spec, metadata, repository, options)
    _summarise(exported, console)


def import_(
    source: Source,
    backbone: Annotated[
        str, typer.Option(help="timm's name, with the tag if it has one: resnet50.a1_in1k.")
    ],
    name: Name,
    labels: Annotated[
        str, typer.Option(metavar="FILE", help="One label a line, in order; or 'imagenet'.")
    ] = "imagenet",
    size: Size = None,
    version: Version = None,
    repository: Repository = BUNDLES,
    precision: HalfOrFull = "fp32",
    max_batch: MaxBatch = 64,
    licence: Licence = UNKNOWN_LICENCE,
) -> None:
    """Import a classifier of timm, or of torchvision where timm builds the same network."""
    from rich.console import Console

    from exporters.checkpoints.classifiers import LAYOUT, convert_classifier, read_labels
    from exporters.checkpoints.files import read_weights
    from exporters.classification import ClassifierOptions, export_classifier

    with told_errors():
        network, spec = convert_classifier(
            read_weights(source),
            read_labels(labels),
            backbone=backbone,
            size=read_size(size) if size else None,
        )
        options = ClassifierOptions(
            name=name, version=version, precision=precision, licence=licence, max_batch=max_batch
        )
        # Where its weights came from is what a classifier's card says of its origin.
        spec = replace(spec, pretrained=origin_of(source, LAYOUT))
        exported = export_classifier(network, spec, {}, repository, options)
    _summarise(exported, Console())


def _summarise(exported: ExportedClassifier, console: Console) -> None:
    from exporters.commands.summary import show_exported, show_figures

    show_exported(exported, console)
    if exported.quantized is not None:
        losses = ", ".join(f"{way} {loss:.2e}" for way, loss in exported.quantized.losses.items())
        console.print(f"divergence from fp32 by calibration: {losses}")
        console.print(f"calibrated by {exported.quantized.calibration}")
    accuracy = exported.accuracy
    if accuracy is None:
        show_figures(exported, console)
    elif exported.written.bundle.manifest.graphs["classify"].precision == "fp32":
        console.print(f"top-1 {accuracy.top1:.2%}")
    else:
        console.print(
            f"top-1 {accuracy.top1:.2%}, as fp32 {accuracy.top1_fp32:.2%}; "
            f"both name the same label for {accuracy.agreement:.2%} of the images, "
            f"probabilities differ by at most {accuracy.max_abs:.1e}"
        )
