"""`panoptes train`: from a recipe to a checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

if TYPE_CHECKING:
    from rich.console import Console

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


@app.command()
def classifier(
    recipe: Recipe,
    assignments: Assignments = None,
    out: Out = None,
    resume: Resume = False,
    minutes: Minutes = None,
    steps: Steps = None,
    process_time: ProcessTime = False,
) -> None:
    """Train a classifier on the tabletop world or on an image folder."""
    from models.classification.training import train_classifier

    clock = "process" if process_time else "wall"
    _run(train_classifier, "top-1", recipe, assignments, out, resume, minutes, steps, clock)


@app.command()
def detector(
    recipe: Recipe,
    assignments: Assignments = None,
    out: Out = None,
    resume: Resume = False,
    minutes: Minutes = None,
    steps: Steps = None,
    process_time: ProcessTime = False,
) -> None:
    """Train a detector on the tabletop world or on data in COCO's format."""
    from models.detection.training import train_detector

    clock = "process" if process_time else "wall"
    _run(train_detector, "AP", recipe, assignments, out, resume, minutes, steps, clock)


@app.command()
def depth(
    recipe: Recipe,
    assignments: Assignments = None,
    out: Out = None,
    resume: Resume = False,
    minutes: Minutes = None,
    steps: Steps = None,
    process_time: ProcessTime = False,
) -> None:
    """Train a depth network on stereo pairs of the tabletop world or of folders."""
    from models.depth.training import train_depth

    clock = "process" if process_time else "wall"
    _run(train_depth, "error", recipe, assignments, out, resume, minutes, steps, clock)


class _TrainFamily(Protocol):
    def __call__(
        self,
        recipe: str,
        *,
        overrides: list[str],
        out: Path | None,
        resume: bool,
        minutes: float | None,
        clock: str,
        console: "Console",
    ) -> "tuple[RunSummary, Path]": ...


def _run(
    train_family: _TrainFamily,
    measure: str,
    recipe: str,
    assignments: list[str] | None,
    out: Path | None,
    resume: bool,
    minutes: float | None,
    steps: int | None,
    clock: str,
) -> None:
    """Train, and tell how it went; `measure` is what the best checkpoint is best in."""
    from rich.console import Console

    from models.training.checkpoint import CheckpointError
    from models.training.plain import RecipeError

    overrides = list(assignments or [])
    if steps is not None:
        overrides += [f"training.steps={steps}", "training.epochs=null"]
    try:
        summary, folder = train_family(
            recipe,
            overrides=overrides,
            out=out,
            resume=resume,
            minutes=minutes,
            clock=clock,
            console=Console(),
        )
    except (RecipeError, CheckpointError) as error:
        typer.secho(str(error), err=True, fg="red")
        raise typer.Exit(2) from error
    state = "finished" if summary.finished else "stopped"
    best = "" if summary.best is None else f", best {measure} {summary.best:.4f}"
    typer.echo(f"{state} at step {summary.step} after {summary.elapsed_s:.0f} s{best}: {folder}")
    if not summary.finished:
        raise typer.Exit(130)
