"""Classification as the trainer sees it."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.classification.checkpoint import KIND, is_auxiliary
from models.classification.data import ClassificationBatches, open_images
from models.classification.measures import ClassificationMeasures
from models.classification.network import Classifier
from models.classification.pretrained import load_pretrained
from models.classification.recipe import ClassifierRecipe
from models.data.labelled import LabelledImages
from models.training.plain import to_plain
from models.training.task import Goal, Place

EVALUATION_BATCH = 128


class ClassificationTask:
    """Label-smoothed cross entropy; the checkpoint with the highest top-1 is the best."""

    goal = Goal("top1")

    def __init__(
        self, recipe: ClassifierRecipe, train: LabelledImages, validation: LabelledImages
    ) -> None:
        spec = recipe.network.with_labels(train.names)
        torch.manual_seed(recipe.training.seed)
        self.recipe = recipe
        self.network = Classifier(spec, auxiliary_heads=True)
        if spec.pretrained is not None:
            load_pretrained(self.network, spec.pretrained)
        self.data = ClassificationBatches(
            train,
            size=spec.input_size,
            batch_size=recipe.training.batch_size,
            augment=recipe.augment,
            seed=recipe.training.seed,
        )
        self._validation = validation

    @classmethod
    def from_recipe(cls, recipe: ClassifierRecipe, *, progress: bool) -> "ClassificationTask":
        train = open_images(recipe.data, "train", progress=progress)
        validation = open_images(recipe.data, "val", names=train.names, progress=progress)
        return cls(recipe, train, validation)

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        answer = network(batch["image"])
        # GoogLeNet answers with three logits in training; the side heads weigh 0.3 in the paper.
        main, *auxiliary = [answer] if isinstance(answer, Tensor) else answer
        losses = {"loss": self._cross_entropy(main, batch["label"])}
        if auxiliary:
            aside = sum(self._cross_entropy(logits, batch["label"]) for logits in auxiliary)
            losses["auxiliary"] = torch.as_tensor(aside)
            losses["loss"] = losses["loss"] + self.recipe.auxiliary_weight * losses["auxiliary"]
        return losses

    def evaluate(self, network: nn.Module, place: Place) -> dict[str, float]:
        return measure(network, self._validation, self.network.spec.input_size, place).figures()

    def checkpoint(self) -> dict[str, Any]:
        return {"kind": KIND, "spec": to_plain(self.network.spec)}

    def is_kept(self, name: str) -> bool:
        return not is_auxiliary(name)

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)


@torch.inference_mode()
def measure(
    network: nn.Module, images: LabelledImages, size: tuple[int, int], place: Place
) -> ClassificationMeasures:
    """Measure a network in evaluation mode on a set of images, all processes together."""
    measures = ClassificationMeasures.zero(len(images.names), place.device)
    share = place.share.of(len(images))
    for start in range(share.start, share.stop, EVALUATION_BATCH):
        indices = torch.arange(start, min(start + EVALUATION_BATCH, share.stop))
        batch = images.read(indices, size).to(place.device)
        measures.add(network(batch), images.labels[indices].to(place.device))
    return measures.summed(place.total)
