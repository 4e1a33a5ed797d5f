"""How near a set of made pictures is to a set of real ones, in the features of a classifier."""

from dataclasses import dataclass

import torch
from torch import Tensor

# Legend: N M pictures, D features.


@dataclass(frozen=True)
class Manifold:
    """How much of each set lies within the other (Kynkäänniemi et al. 2019).

    `precision` is the share of made pictures that lie among the real ones, `recall` the share of
    real ones that lie among the made.
    """

    precision: float
    recall: float


def frechet_distance(real: Tensor, made: Tensor) -> float:
    """Between the Gaussians fitted to features [N, D] and [M, D] (Heusel et al. 2017).

    |mu_r - mu_m|^2 + tr(S_r + S_m - 2 (S_r S_m)^1/2). The trace of the root is the sum of the
    roots of the eigenvalues, which are real and not negative.
    """
    if min(len(real), len(made)) < 2 or real.shape[1] != made.shape[1]:
        raise ValueError(f"need two sets of the same features, got {real.shape} and {made.shape}")
    (mean_r, spread_r), (mean_m, spread_m) = _gaussian(real), _gaussian(made)
    # (S_r^1/2 S_m S_r^1/2) has the eigenvalues of S_r S_m and is symmetric.
    values, vectors = torch.linalg.eigh(spread_r)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ spread_m @ root).clamp_min(0).sqrt().sum()
    distance = (mean_r - mean_m).square().sum() + spread_r.trace() + spread_m.trace() - 2 * shared
    return float(distance)


def manifold_precision_recall(real: Tensor, made: Tensor, neighbours: int = 3) -> Manifold:
    """For features [N, D] and [M, D].

    A set's manifold is the union of balls around its members, each as wide as the distance to its
    `neighbours`-th nearest other.
    """
    if min(len(real), len(made)) <= neighbours:
        raise ValueError(f"need more than {neighbours} of each, got {len(real)} and {len(made)}")
    real, made = real.double(), made.double()
    between = torch.cdist(real, made, compute_mode=_EXACT)  # [N, M]
    among_real = (between <= _radii(real, neighbours)[:, None]).any(0)  # [M]
    among_made = (between <= _radii(made, neighbours)[None]).any(1)  # [N]
    return Manifold(float(among_real.double().mean()), float(among_made.double().mean()))


_EXACT = "donot_use_mm_for_euclid_dist"


def _radii(features: Tensor, neighbours: int) -> Tensor:
    distances = torch.cdist(features, features, compute_mode=_EXACT)
    # The nearest of all is the member itself.
    return distances.kthvalue(neighbours + 1, dim=1).values


def _gaussian(features: Tensor) -> tuple[Tensor, Tensor]:
    features = features.double()
    return features.mean(0), torch.cov(features.T).reshape(features.shape[1], -1)
