"""Segmentation as the trainer sees it."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from models.data.panoptic import SegmentedImages, Segments
from models.segmentation.checkpoint import describe_segmenter
from models.segmentation.data import SegmentationBatches, open_segmented_images
from models.segmentation.loss import SegmentationLoss
from models.segmentation.measures import PanopticQuality
from models.segmentation.network import Segmenter
from models.segmentation.recipe import SegmenterRecipe
from models.segmentation.segmenting import segment_all
from models.training.starting import start_from
from models.training.task import Goal, Place


class SegmentationTask:
    """Mask2Former's loss; the checkpoint with the highest panoptic quality is the best."""

    goal = Goal("PQ")

    def __init__(
        self, recipe: SegmenterRecipe, train: SegmentedImages, validation: SegmentedImages
    ) -> None:
        spec = recipe.spec(train.names, train.is_thing)
        torch.manual_seed(recipe.training.seed)
        self.network = Segmenter(spec)
        if recipe.start_from is not None:
            start_from(self.network, recipe.start_from)
        self.data = SegmentationBatches(
            train,
            sizes=recipe.sizes or (spec.input_size,),
            fit=spec.fit,
            batch_size=recipe.training.batch_size,
            augment=recipe.augment,
            seed=recipe.training.seed,
        )
        self._criterion = SegmentationLoss(spec, recipe.loss)
        self._validation = validation

    @classmethod
    def from_recipe(cls, recipe: SegmenterRecipe, *, progress: bool) -> "SegmentationTask":
        train = open_segmented_images(recipe.data, "train", progress=progress)
        validation = open_segmented_images(recipe.data, "val", names=train.names, progress=progress)
        return cls(recipe, train, validation)

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        answers = network(batch["image"])
        return self._criterion(answers, Segments(batch["numbers"], batch["labels"]))

    def evaluate(self, network: nn.Module, place: Place) -> dict[str, float]:
        spec, images = self.network.spec, self._validation
        quality = PanopticQuality.zero(len(spec.labels))
        for found in segment_all(network, spec, images, place):
            quality.add(images.truth(found.image), found.numbers, found.labels)
        quality = quality.summed(lambda sums: place.total(sums.to(place.device)).cpu())
        figures = quality.figures(spec.is_thing)
        return {name: value for name, value in figures.items() if not math.isnan(value)}

    def checkpoint(self) -> dict[str, Any]:
        return describe_segmenter(self.network.spec)

    def is_kept(self, name: str) -> bool:
        return True
