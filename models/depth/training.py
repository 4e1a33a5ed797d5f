"""What `panoptes train depth` runs."""

from pathlib import Path

from models.depth.recipe import DepthRecipe
from models.depth.task import DepthTask
from models.training.running import Trainable

DEPTH = Trainable(
    DepthRecipe,
    DepthTask.from_recipe,
    recipes=Path(__file__).parent / "recipes",
    measure="error",
)
