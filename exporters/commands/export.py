"""`panoptes export`: from a checkpoint to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from exporters.classification import ExportedClassifier
    from exporters.depth import ExportedDepth
    from exporters.detection import ExportedDetector

app = typer.Typer(no_args_is_help=True, help="Turn a checkpoint into a bundle.")


@app.callback()
def export() -> None:
    """Turn a checkpoint into a bundle that the server serves."""


@app.command()
def classifier(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's folder, such as runs/x/best.")],
    name: Annotated[str, typer.Option(help="What the model is called in its URL.")],
    version: Annotated[
        int | None, typer.Option(min=1, help="A whole number; the next free one if not given.")
    ] = None,
    repository: Annotated[
        Path, typer.Option(help="The folder that holds <model>/<version>/.")
    ] = Path("bundles"),
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(help="fp16 halves the file; int8 quarters it and is faster on CPUs."),
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
    max_batch: Annotated[int, typer.Option(min=1, max=4096, help="The largest batch.")] = 64,
    licence: Annotated[str, typer.Option(help="Of the weights, as an SPDX name.")] = "Apache-2.0",
) -> None:
    """Export a classifier: prove it equal to PyTorch, lower its precision, measure what that costs.

    With 'recipe' the images are those of the recipe that trained the checkpoint: its train split
    calibrates, its test split evaluates.
    """
    from rich.console import Console

    from exporters.classification import ClassifierOptions, export_classifier
    from exporters.classification_data import read_labelled
    from exporters.errors import CheckpointError, ExportError
    from models.classification import load_classifier
    from models.training.checkpoint import CheckpointError as UnreadableCheckpoint

    console = Console()
    show = console.is_terminal
    try:
        try:
            network, spec, metadata = load_classifier(checkpoint)
        except (UnreadableCheckpoint, ValueError) as error:
            raise CheckpointError(str(error)) from error
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
    except ExportError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
    _summarise(exported, console)


@app.command()
def detector(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's folder, such as runs/x/best.")],
    name: Annotated[str, typer.Option(help="What the model is called in its URL.")],
    version: Annotated[
        int | None, typer.Option(min=1, help="A whole number; the next free one if not given.")
    ] = None,
    repository: Annotated[
        Path, typer.Option(help="The folder that holds <model>/<version>/.")
    ] = Path("bundles"),
    precision: Annotated[
        Literal["fp32", "fp16"], typer.Option(help="fp16 halves the file.")
    ] = "fp32",
    evaluate: Annotated[
        int, typer.Option(min=0, help="On at most so many images that training has not seen.")
    ] = 1000,
    candidates: Annotated[
        int, typer.Option(min=1, max=2000, help="How many go into suppression, if there is any.")
    ] = 256,
    score_threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Which a request may override.")
    ] = 0.3,
    max_batch: Annotated[int, typer.Option(min=1, max=4096, help="The largest batch.")] = 32,
    licence: Annotated[str, typer.Option(help="Of the weights, as an SPDX name.")] = "Apache-2.0",
) -> None:
    """Export a detector: prove it equal to PyTorch, measure COCO's average precision as exported.

    The images are the test split of the recipe that trained the checkpoint. With --evaluate 0 the
    bundle is proven on its scenes all the same, if there are any.
    """
    from rich.console import Console

    from exporters.detection import DetectorOptions, export_detector
    from exporters.detection_data import SCENES, read_unseen
    from exporters.errors import CheckpointError, ExportError
    from models.detection import load_detector
    from models.training.checkpoint import CheckpointError as UnreadableCheckpoint

    console = Console()
    try:
        try:
            network, spec, metadata = load_detector(checkpoint)
        except (UnreadableCheckpoint, ValueError) as error:
            raise CheckpointError(str(error)) from error
        unseen = read_unseen(spec, metadata, count=evaluate or SCENES, progress=console.is_terminal)
        options = DetectorOptions(
            name=name,
            version=version,
            precision=precision,
            licence=licence,
            max_batch=max_batch,
            candidates=candidates,
            score_threshold=score_threshold,
            scenes=unseen.pixels(spec, 0, SCENES),
            evaluation=unseen if evaluate else None,
        )
        exported = export_detector(network, spec, metadata, repository, options)
    except ExportError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
    _summarise_detector(exported, console)


@app.command()
def depth(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's folder, such as runs/x/best.")],
    name: Annotated[str, typer.Option(help="What the model is called in its URL.")],
    version: Annotated[
        int | None, typer.Option(min=1, help="A whole number; the next free one if not given.")
    ] = None,
    repository: Annotated[
        Path, typer.Option(help="The folder that holds <model>/<version>/.")
    ] = Path("bundles"),
    precision: Annotated[
        Literal["fp32", "fp16"], typer.Option(help="fp16 halves the file.")
    ] = "fp32",
    evaluate: Annotated[
        int, typer.Option(min=0, help="On at most so many pairs that training has not seen.")
    ] = 1000,
    farthest: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Nothing is farther: metres [80], or relative [256 times the nearest]."
        ),
    ] = None,
    max_batch: Annotated[int, typer.Option(min=1, max=4096, help="The largest batch.")] = 16,
    licence: Annotated[str, typer.Option(help="Of the weights, as an SPDX name.")] = "Apache-2.0",
) -> None:
    """Export a depth network: prove it equal to PyTorch, measure its depth as exported.

    The pairs are the test split of the recipe that trained the checkpoint. With --evaluate 0 the
    bundle is proven on some of them all the same.
    """
    from rich.console import Console

    from exporters.depth import DepthOptions, export_depth
    from exporters.depth_data import read_unseen_pairs
    from exporters.errors import CheckpointError, ExportError
    from exporters.images import GOLDEN_REAL_IMAGES
    from models.depth import load_depth
    from models.training.checkpoint import CheckpointError as UnreadableCheckpoint

    console = Console()
    try:
        try:
            network, spec, metadata = load_depth(checkpoint)
        except (UnreadableCheckpoint, KeyError, ValueError) as error:
            raise CheckpointError(str(error)) from error
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
    except ExportError as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
    _summarise_depth(exported, console)


def _summarise(exported: ExportedClassifier, console: Console) -> None:
    from exporters.commands.summary import show_written

    show_written(exported.written, exported.original_parity, console)
    if exported.quantized is not None:
        losses = ", ".join(f"{way} {loss:.2e}" for way, loss in exported.quantized.losses.items())
        console.print(f"divergence from fp32 by calibration: {losses}")
        console.print(f"calibrated by {exported.quantized.calibration}")
    accuracy = exported.accuracy
    if accuracy is None:
        console.print("[yellow]not evaluated[/yellow]: the model card has no accuracy")
    elif exported.written.bundle.manifest.graphs["classify"].precision == "fp32":
        console.print(f"top-1 {accuracy.top1:.2%}")
    else:
        console.print(
            f"top-1 {accuracy.top1:.2%}, as fp32 {accuracy.top1_fp32:.2%}; "
            f"both name the same label for {accuracy.agreement:.2%} of the images, "
            f"probabilities differ by at most {accuracy.max_abs:.1e}"
        )


def _summarise_detector(exported: ExportedDetector, console: Console) -> None:
    from exporters.commands.summary import show_written

    show_written(exported.written, exported.original_parity, console)
    console.print(f"golden inputs with {exported.golden_detections} detections")
    if not exported.figures:
        console.print("[yellow]not evaluated[/yellow]: the model card has no accuracy")
        return
    console.print(", ".join(f"{name} {value:.4f}" for name, value in exported.figures.items()))
    if exported.written.bundle.manifest.graphs["detect"].precision != "fp32":
        console.print(f"AP as fp32 {exported.original_figures['AP']:.4f}")


def _summarise_depth(exported: ExportedDepth, console: Console) -> None:
    from exporters.commands.summary import show_written

    show_written(exported.written, exported.original_parity, console)
    if not exported.figures:
        console.print("[yellow]not evaluated[/yellow]: the model card has no accuracy")
        return
    console.print(", ".join(f"{name} {value:.4f}" for name, value in exported.figures.items()))
    if exported.written.bundle.manifest.graphs["depth"].precision != "fp32":
        name = "spec_abs_rel" if "spec_abs_rel" in exported.figures else "scaled_abs_rel"
        console.print(f"{name} as fp32 {exported.original_figures[name]:.4f}")
