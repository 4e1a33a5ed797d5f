"""`panoptes train`: from a recipe to a checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Train a model from a recipe.")


@app.callback()
def train() -> None:
    """Train a model from a recipe."""


@app.command()
def classifier(
    recipe: Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped recipe.")],
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a key: training.batch_size=64."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; runs/<name> if not given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the saved state.")] = False,
    minutes: Annotated[
        float | None, typer.Option(help="Finish within this time; the schedule follows the clock.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Shorthand for the run's length.")] = None,
    process_time: Annotated[
        bool, typer.Option("--process-time", help="Count --minutes in processor time.")
    ] = False,
) -> None:
    """Train a classifier on the tabletop world or on an image folder."""
    from rich.console import Console

    from models.classification.training import train_classifier
    from models.training.checkpoint import CheckpointError
    from models.training.plain import RecipeError
    from models.training.processes import is_first_process

    console = Console(quiet=not is_first_process())
    overrides = list(assignments or [])
    if steps is not None:
        overrides += [f"training.steps={steps}", "training.epochs=null"]
    try:
        summary, folder = train_classifier(
            recipe,
            overrides=overrides,
            out=out,
            resume=resume,
            minutes=minutes,
            clock="process" if process_time else "wall",
            console=console,
        )
    except (RecipeError, CheckpointError) as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
    state = "finished" if summary.finished else "stopped"
    best = "" if summary.best is None else f", best top-1 {summary.best:.4f}"
    told = f"{state} at step {summary.step} after {summary.elapsed_s:.0f} s{best}: {folder}"
    console.print(told, highlight=False, soft_wrap=True)
    if not summary.finished:
        raise typer.Exit(130)
