"""From a recipe's file to a run in a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from models.depth.recipe import DepthRecipe, find_recipe
from models.depth.task import DepthTask
from models.training.budget import Budget
from models.training.journal import TensorBoardJournal
from models.training.plain import from_plain, to_plain
from models.training.processes import process_state
from models.training.progress import show_progress
from models.training.provenance import describe_run
from models.training.recipe import read_recipe
from models.training.trainer import RunSummary, Trainer


def train_depth(
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
    spec = from_plain(DepthRecipe, read_recipe(find_recipe(recipe), overrides))
    folder = out or Path("runs") / spec.name
    with process_state().main_process_first():  # one process renders, the others find it done
        task = DepthTask.from_recipe(spec, progress=console.is_terminal)
    steps = spec.training.total_steps(len(task.data))
    trainer = Trainer(
        task,
        spec.training,
        folder,
        document=_document(spec, task),
        budget=Budget(steps, minutes, clock="process" if clock == "process" else "wall"),
        progress=show_progress(console),
        journal=TensorBoardJournal(folder / "logs"),
    )
    return trainer.run(resume=resume), folder


def _document(spec: DepthRecipe, task: DepthTask) -> dict[str, Any]:
    return {
        "recipe": to_plain(spec),
        "provenance": describe_run(data=task.data.description, seed=spec.training.seed),
    }
