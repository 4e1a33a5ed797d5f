"""What `panoptes train segmenter` runs."""

from pathlib import Path

from models.segmentation.recipe import SegmenterRecipe
from models.segmentation.task import SegmentationTask
from models.training.running import Trainable

SEGMENTER = Trainable(
    SegmenterRecipe,
    SegmentationTask.from_recipe,
    recipes=Path(__file__).parent / "recipes",
    measure="PQ",
)
