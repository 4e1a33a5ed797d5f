"""From a recipe's file to a run in a folder."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from models.classification.recipe import ClassifierRecipe, find_recipe
from models.classification.task import ClassificationTask
from models.training.running import run_recipe
from models.training.trainer import RunSummary


def train_classifier(
    recipe: str,
    *,
    overrides: Sequence[str] = (),
    out: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    clock: str = "wall",
    console: Console,
) -> tuple[RunSummary, Path]:
    """Run a recipe; the summary, and the folder that the run wrote."""
    return run_recipe(
        ClassifierRecipe,
        lambda recipe, progress: ClassificationTask.from_recipe(recipe, progress=progress),
        find_recipe(recipe),
        overrides=overrides,
        out=out,
        resume=resume,
        minutes=minutes,
        clock=clock,
        console=console,
    )
