"""Detection as the trainer sees it, whatever the family."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.data.boxed import BoxedImages
from models.detection.checkpoint import describe_detector
from models.detection.data import DetectionBatches, open_boxed_images
from models.detection.detecting import detect_all
from models.detection.detector import Targets
from models.detection.families import build_detector, find_family
from models.detection.measures import average_precision
from models.detection.recipe import DetectorRecipe
from models.training.starting import start_from
from models.training.task import Goal, Place


class DetectionTask:
    """The family's own loss; the checkpoint with the highest COCO AP is the best."""

    goal = Goal("AP")

    def __init__(self, recipe: DetectorRecipe, train: BoxedImages, validation: BoxedImages) -> None:
        spec = recipe.spec(train.names)
        torch.manual_seed(recipe.training.seed)
        self.recipe = recipe
        self.network = build_detector(spec)
        if recipe.start_from is not None:
            start_from(self.network, recipe.start_from)
        self.data = DetectionBatches(
            train,
            sizes=recipe.sizes or (spec.input_size,),
            fit=spec.fit,
            batch_size=recipe.training.batch_size,
            augment=recipe.augment,
            seed=recipe.training.seed,
        )
        self._criterion = find_family(recipe.family).loss(spec, recipe.loss_spec())
        self._validation = validation

    @classmethod
    def from_recipe(cls, recipe: DetectorRecipe, *, progress: bool) -> "DetectionTask":
        train = open_boxed_images(recipe.data, "train", progress=progress)
        validation = open_boxed_images(recipe.data, "val", names=train.names, progress=progress)
        return cls(recipe, train, validation)

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        targets = Targets(batch["boxes"], batch["labels"])
        return self._criterion(network(batch["image"], targets), targets)

    def evaluate(self, network: nn.Module, place: Place) -> dict[str, float]:
        images = self._validation
        found = detect_all(network, self.network.spec, images, place)
        truths = [images.truth(index) for index in range(len(images))]
        figures = average_precision(truths, found, len(images.names)).figures
        return {name: value for name, value in figures.items() if not math.isnan(value)}

    def checkpoint(self) -> dict[str, Any]:
        return describe_detector(self.network.spec)

    def is_kept(self, name: str) -> bool:
        return True
