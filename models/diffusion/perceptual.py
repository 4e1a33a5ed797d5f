"""How different two pictures look to a network that has learnt to name what is in them."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.classification import Classifier, load_classifier

# Legend: B batch, H W pixels, C h w channels and cells of a stage of the classifier.

_EPS = 1e-6


class PerceptualDistance(nn.Module):
    """The distance of a classifier's features, after Zhang et al. 2018 (LPIPS, without weights).

    At every stage but the head the features of both pictures are scaled to unit length over the
    channels; the squared differences are summed over channels and averaged over cells and stages.
    The classifier is frozen, and its weights are no part of any checkpoint.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        # A list, so that the classifier is no submodule: it is neither saved nor trained.
        self._frozen = [classifier.eval().requires_grad_(False)]

    @classmethod
    def from_checkpoint(cls, folder: str | Path) -> "PerceptualDistance":
        classifier, _, _ = load_classifier(Path(folder).expanduser())
        return cls(classifier)

    def forward(self, pixels: Tensor, target: Tensor) -> Tensor:
        """Both float [B, 3, H, W] in [-1, 1] -> a scalar, the mean over the batch."""
        pairs = zip(self._features(pixels), self._features(target), strict=True)
        distances = [(_unit(a) - _unit(b)).square().sum(1).mean() for a, b in pairs]
        return torch.stack(distances).mean()

    def _features(self, pixels: Tensor) -> list[Tensor]:
        """The features of each stage, fine to coarse."""
        (classifier,) = self._frozen
        classifier.to(pixels.device)
        mean, std = pixels.new_tensor((classifier.spec.mean, classifier.spec.std))[..., None, None]
        normalised = ((pixels + 1) / 2 - mean) / std
        backbone = classifier.backbone
        _, stages = backbone.forward_intermediates(normalised)  # type: ignore[operator] # timm's
        return list(stages)


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features.float(), dim=1, eps=_EPS)
