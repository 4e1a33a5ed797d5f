"""Depth from stereo pairs as the trainer sees it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from models.data.stereo import StereoPairs
from models.depth.checkpoint import describe_depth
from models.depth.data import StereoBatches, open_pairs
from models.depth.estimating import Figures, estimate_all, rebuilt_appearance
from models.depth.losses import MonodepthLoss
from models.depth.network import DepthNetwork
from models.depth.recipe import DepthRecipe
from models.depth.spec import DepthSpec
from models.training.starting import start_from
from models.training.task import Goal, Place


class DepthTask:
    """Monodepth's loss; the best checkpoint has the lowest relative error.

    Where the validation data knows no depth, the best rebuilds its left views best.
    """

    def __init__(self, recipe: DepthRecipe, train: StereoPairs, validation: StereoPairs) -> None:
        spec = with_camera_of(recipe.network, train)
        torch.manual_seed(recipe.training.seed)
        self.recipe = recipe
        self.network = DepthNetwork(spec)
        if recipe.start_from is not None:
            start_from(self.network, recipe.start_from, whole=True)
        self.data = StereoBatches(
            train,
            size=recipe.train_size or spec.input_size,
            batch_size=recipe.training.batch_size,
            augment=recipe.augment,
            seed=recipe.training.seed,
        )
        self._criterion = MonodepthLoss(recipe.loss)
        self._validation = validation
        self._spec = replace(spec, input_size=recipe.train_size or spec.input_size)
        self.goal = Goal(self._goal_metric(), "min")

    @classmethod
    def from_recipe(cls, recipe: DepthRecipe, *, progress: bool) -> "DepthTask":
        train = open_pairs(recipe.data, "train", progress=progress)
        return cls(recipe, train, open_pairs(recipe.data, "val", progress=progress))

    def loss(self, network: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._criterion(network(batch["left"]), batch["left"], batch["right"])

    def evaluate(self, network: nn.Module, place: Place) -> dict[str, float]:
        if not self._validation.has_depth:
            return {"appearance": rebuilt_appearance(network, self._spec, self._validation, place)}
        figures = Figures.zero(place.device)
        for estimate in estimate_all(network, self._spec, self._validation, place):
            figures.add(estimate, self.network.spec)
        return figures.named(place)

    def checkpoint(self) -> dict[str, Any]:
        return describe_depth(self.network.spec)

    def is_kept(self, name: str) -> bool:
        return True

    def _goal_metric(self) -> str:
        if not self._validation.has_depth:
            return "appearance"
        cameras = self._validation.cameras(torch.arange(len(self._validation)))
        known = not bool((cameras.focal_widths * cameras.baseline_m).isnan().any())
        return "abs_rel" if known else "scaled_abs_rel"


def with_camera_of(spec: DepthSpec, pairs: StereoPairs) -> DepthSpec:
    """The spec with the pairs' mean camera, unless it says its own or nothing is known of it.

    The product of focal length and baseline is the mean of the products.
    """
    if spec.focal_px is not None or spec.baseline_m is not None:
        return spec
    cameras = pairs.cameras(torch.arange(len(pairs)))
    metres = float((cameras.focal_widths.double() * cameras.baseline_m).nanmean())
    baseline_m = float(cameras.baseline_m.double().nanmean())
    if metres != metres:
        return spec
    focal_px = metres / baseline_m * spec.input_size[1]
    return replace(spec, focal_px=round(focal_px, 3), baseline_m=round(baseline_m, 5))
