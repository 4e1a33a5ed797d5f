"""What `panoptes train clip` runs."""

from pathlib import Path

from models.clip.recipe import ClipRecipe
from models.clip.task import ClipTask
from models.training.running import Trainable

CLIP = Trainable(
    ClipRecipe,
    ClipTask.from_recipe,
    recipes=Path(__file__).parent / "recipes",
    measure="score",
)
