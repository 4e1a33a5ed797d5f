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
