"""`panoptes eval`: how good a checkpoint is."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Measure a checkpoint.")


@app.callback()
def evaluate() -> None:
    """Measure a checkpoint."""


@app.command()
def classifier(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's folder, such as runs/x/best.")],
    out: Annotated[
        Path | None, typer.Option(help="Where report and pictures go; beside the checkpoint.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="train, val or test; test if the data has it.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Another image folder with the same classes.")
    ] = None,
    scenes: Annotated[
        int | None, typer.Option(min=1, help="So many scenes of the world, not the recipe's.")
    ] = None,
) -> None:
    """Top-1, top-5, calibration error, the confusion picture and the worst mistakes."""
    from models.classification.evaluation import evaluate_classifier
    from models.training.checkpoint import CheckpointError

    target = out or checkpoint.with_name(f"{checkpoint.name}-evaluation")
    try:
        report = evaluate_classifier(
            checkpoint, out=target, split=split, folder=folder, scenes=scenes
        )
    except (CheckpointError, ValueError) as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
    typer.echo(f"{report['data']}: {report['samples']} images")
    for name in ("top1", "top5", "ece", "loss"):
        typer.echo(f"  {name:5} {report[name]:.4f}")
    typer.echo(f"report and pictures: {target}")


@app.command()
def detector(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's folder, such as runs/x/best.")],
    out: Annotated[
        Path | None, typer.Option(help="Where report and pictures go; beside the checkpoint.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="train, val or test; test if the data has it.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Another image folder; give its annotations too.")
    ] = None,
    annotations: Annotated[Path | None, typer.Option(help="A JSON file in COCO's format.")] = None,
    device: Annotated[str, typer.Option(help="Where to run: cpu or cuda.")] = "cpu",
) -> None:
    """COCO's average precision, precision-recall curves and the images with the worst mistakes."""
    from models.detection.evaluation import evaluate_detector
    from models.training.checkpoint import CheckpointError

    target = out or checkpoint.with_name(f"{checkpoint.name}-evaluation")
    try:
        report = evaluate_detector(
            checkpoint,
            split=split,
            images=images,
            annotations=annotations,
            out=target,
            device=device,
        )
    except (CheckpointError, ValueError) as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
    typer.echo(f"{report['data']}: {report['samples']} images, {report['objects']} objects")
    for name in ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR"):
        value = report[name]
        typer.echo(f"  {name:9} " + ("-" if value is None else f"{value:.4f}"))
    typer.echo(f"report and pictures: {target}")


@app.command()
def depth(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint's folder, such as runs/x/best.")],
    out: Annotated[
        Path | None, typer.Option(help="Where report and pictures go; beside the checkpoint.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, val or test.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="A stereo folder with depth, not the recipe's data.")
    ] = None,
    scenes: Annotated[
        int | None, typer.Option(min=1, help="So many scenes of the world, not the recipe's.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where to run: cpu or cuda.")] = "cpu",
) -> None:
    """Depth errors with and without median scaling, and sheets of what was seen and answered."""
    from models.depth.evaluation import evaluate_depth
    from models.training.checkpoint import CheckpointError

    target = out or checkpoint.with_name(f"{checkpoint.name}-evaluation")
    try:
        report = evaluate_depth(
            checkpoint, split=split, folder=folder, scenes=scenes, out=target, device=device
        )
    except (CheckpointError, ValueError) as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
    typer.echo(f"{report['data']}: {report['samples']} images")
    ways = {"": "each pair's camera", "spec_": "the network's camera", "scaled_": "median scaled"}
    names = ("abs_rel", "sq_rel", "rmse", "rmse_log", "d1", "d2", "d3")
    typer.echo(" " * 22 + "".join(f"{name:>9}" for name in names))
    for prefix, way in ways.items():
        if f"{prefix}abs_rel" in report:
            values = "".join(f"{report[prefix + name]:9.4f}" for name in names)
            typer.echo(f"  {way:20}{values}")
    typer.echo(f"report and pictures: {target}")
