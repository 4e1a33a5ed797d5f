"""`panoptes train`: from a recipe to a checkpoint."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from models.training.running import Trainable
    from models.training.trainer import RunSummary

app = typer.Typer(no_args_is_help=True, help="Train a model from a recipe.")

Recipe = Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped recipe.")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key: training.batch_size=64."),
]
Out = Annotated[Path | None, typer.Option(help="The run's folder; runs/<name> if not given.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the saved state.")]
Minutes = Annotated[
    float | None, typer.Option(help="Finish within this time; the schedule follows the clock.")
]
Steps = Annotated[int | None, typer.Option(help="Shorthand for the run's length.")]
ProcessTime = Annotated[
    bool, typer.Option("--process-time", help="Count --minutes in processor time.")
]


@app.callback()
def train() -> None:
    """Train a model from a recipe."""


def _trains(open_family: "Callable[[], Trainable[Any]]") -> "Callable[[], Trainable[Any]]":
    """Make a command of the function's name and docstring, which trains what it returns."""

    def command(
        recipe: Recipe,
        assignments: Assignments = None,
        out: Out = None,
        resume: Resume = False,
        minutes: Minutes = None,
        steps: Steps = None,
        process_time: ProcessTime = False,
    ) -> None:
        from rich.console import Console

        from models.training.checkpoint import CheckpointError
        from models.training.plain import RecipeError
        from models.training.running import run_recipe

        overrides = list(assignments or [])
        if steps is not None:
            overrides += [f"training.steps={steps}", "training.epochs=null"]
        family = open_family()
        try:
            summary, folder = run_recipe(
                family,
                family.read(recipe, overrides),
                out=out,
                resume=resume,
                minutes=minutes,
                clock="process" if process_time else "wall",
                console=Console(),
            )
        except (RecipeError, CheckpointError) as error:
            typer.secho(str(error), err=True, fg="red")
            raise typer.Exit(2) from error
        _tell(summary, folder, family.measure)

    app.command(open_family.__name__, help=open_family.__doc__)(command)
    return open_family


def _tell(summary: "RunSummary", folder: Path, measure: str) -> None:
    state = "finished" if summary.finished else "stopped"
    best = "" if summary.best is None else f", best {measure} {summary.best:.4f}"
    typer.echo(f"{state} at step {summary.step} after {summary.elapsed_s:.0f} s{best}: {folder}")
    if not summary.finished:
        raise typer.Exit(130)


@_trains
def classifier() -> "Trainable[Any]":
    """Train a classifier on the tabletop world or on an image folder."""
    from models.classification.training import CLASSIFIER

    return CLASSIFIER


@_trains
def detector() -> "Trainable[Any]":
    """Train a detector on the tabletop world or on data in COCO's format."""
    from models.detection.training import DETECTOR

    return DETECTOR


@_trains
def depth() -> "Trainable[Any]":
    """Train a depth network on stereo pairs of the tabletop world or of folders."""
    from models.depth.training import DEPTH

    return DEPTH


@_trains
def segmenter() -> "Trainable[Any]":
    """Train a segmenter on the tabletop world or on data in COCO's panoptic format."""
    from models.segmentation.training import SEGMENTER

    return SEGMENTER


@_trains
def autoencoder() -> "Trainable[Any]":
    """Train the autoencoder that a painter paints through."""
    from models.diffusion.training import AUTOENCODER

    return AUTOENCODER


@_trains
def painter() -> "Trainable[Any]":
    """Train a painter on captioned pictures, through an autoencoder trained before."""
    from models.diffusion.training import PAINTER

    return PAINTER


@_trains
def clip() -> "Trainable[Any]":
    """Train image and text towers on captions of the tabletop world, or on images with texts."""
    from models.clip.training import CLIP

    return CLIP
