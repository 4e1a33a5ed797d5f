"""What `panoptes train classifier` runs."""

from pathlib import Path

from models.classification.recipe import ClassifierRecipe
from models.classification.task import ClassificationTask
from models.training.running import Trainable

CLASSIFIER = Trainable(
    ClassifierRecipe,
    ClassificationTask.from_recipe,
    recipes=Path(__file__).parent / "recipes",
    measure="top-1",
)
