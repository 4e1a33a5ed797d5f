"""From a recipe's file to a run in a folder, for every family."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar

from rich.console import Console

from models.training.budget import Budget
from models.training.journal import TensorBoardJournal
from models.training.plain import from_plain, to_plain
from models.training.processes import process_state
from models.training.progress import show_progress
from models.training.provenance import describe_run
from models.training.recipe import TrainingSpec, find_file, read_recipe
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
ReadRecipeT = TypeVar("ReadRecipeT", bound=Recipe, contravariant=True)


class OpenTask(Protocol[ReadRecipeT]):
    """Makes the task from its recipe, with a progress bar for the data or without."""

    def __call__(self, recipe: ReadRecipeT, /, *, progress: bool) -> RecipeTask: ...


@dataclass(frozen=True)
class Trainable(Generic[RecipeT]):
    """All that a family says of itself to be trained from a recipe.

    `recipes` is the folder of those that come with the package; `measure` says in a word what the
    best checkpoint is best in.
    """

    recipe: type[RecipeT]
    open_task: OpenTask[RecipeT]
    recipes: Path
    measure: str

    def read(self, name_or_path: str, overrides: Sequence[str] = ()) -> RecipeT:
        """The recipe in a file, or of a name, with `a.b=value` overrides applied."""
        return from_plain(
            self.recipe, read_recipe(find_file(name_or_path, self.recipes), overrides)
        )


def run_recipe(
    family: Trainable[RecipeT],
    recipe: RecipeT,
    *,
    out: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    clock: Literal["wall", "process"] = "wall",
    console: Console,
) -> tuple[RunSummary, Path]:
    """Run a recipe; the summary, and the folder that the run wrote: runs/<name> if not given."""
    folder = out or Path("runs") / recipe.name
    with process_state().main_process_first():  # one process renders, the others find it done
        task = family.open_task(recipe, progress=console.is_terminal)
    steps = recipe.training.total_steps(len(task.data))
    trainer = Trainer(
        task,
        recipe.training,
        folder,
        document=_document(recipe, task),
        budget=Budget(steps, minutes, clock=clock),
        progress=show_progress(console),
        journal=TensorBoardJournal(folder / "logs"),
    )
    return trainer.run(resume=resume), folder


def _document(recipe: Recipe, task: RecipeTask) -> dict[str, Any]:
    return {
        "recipe": to_plain(recipe),
        "provenance": describe_run(data=task.data.description, seed=recipe.training.seed),
    }
