"""What `panoptes train detector` runs."""

from pathlib import Path

from models.detection.recipe import DetectorRecipe
from models.detection.task import DetectionTask
from models.training.running import Trainable

DETECTOR = Trainable(
    DetectorRecipe,
    DetectionTask.from_recipe,
    recipes=Path(__file__).parent / "recipes",
    measure="AP",
)
