"""From a recipe's file to a run in a folder, for every family."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rich.console import Console

from models.training.budget import Budget
from models.training.journal import TensorBoardJournal
from models.training.plain import from_plain, to_plain
from models.training.processes import process_state
from models.training.progress import show_progress
from models.training.provenance import describe_run
from models.training.recipe import TrainingSpec, read_recipe
from models.training.task import BatchSource, Task
from models.training.trainer import RunSummary, Trainer


class Recipe(Protocol):
    """What every family's recipe says."""

    @property
    def name(self) -> str: ...

    @property
    def training(self) -> TrainingSpec: ...


class DescribedBatches(BatchSource, Protocol):
    """Training data that says in words what it is."""

    @property
    def description(self) -> str: ...


class RecipeTask(Task, Protocol):
    """A task made from a recipe."""

    @property
    def data(self) -> DescribedBatches: ...


RecipeT = TypeVar("RecipeT", bound=Recipe)


def run_recipe(
    recipe_class: type[RecipeT],
    open_task: Callable[[RecipeT, bool], RecipeTask],
    file: Path,
    *,
    overrides: Sequence[str],
    out: Path | None,
    resume: bool,
    minutes: float | None,
    clock: str,
    console: Console,
) -> tuple[RunSummary, Path]:
    """Run a recipe; the summary, and the folder that the run wrote.

    `open_task` makes the task from the recipe, with a progress bar for its data or without.
    """
    recipe = from_plain(recipe_class, read_recipe(file, overrides))
    folder = out or Path("runs") / recipe.name
    with process_state().main_process_first():  # one process renders, the others find it done
        task = open_task(recipe, console.is_terminal)
    steps = recipe.training.total_steps(len(task.data))
    trainer = Trainer(
        task,
        recipe.training,
        folder,
        document=_document(recipe, task),
        budget=Budget(steps, minutes, clock="process" if clock == "process" else "wall"),
        progress=show_progress(console),
        journal=TensorBoardJournal(folder / "logs"),
    )
    return trainer.run(resume=resume), folder


def _document(recipe: Recipe, task: RecipeTask) -> dict[str, Any]:
    return {
        "recipe": to_plain(recipe),
        "provenance": describe_run(data=task.data.description, seed=recipe.training.seed),
    }
