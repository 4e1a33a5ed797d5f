from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import linalg
from scipy.spatial import cKDTree
from torch import Tensor
from torchmetrics.image.fid import _compute_fid

from models.diffusion.fidelity import frechet_distance, manifold_precision_recall


def two_sets(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(12, 12, generator=generator)
    real = torch.randn(300, 12, generator=generator) @ mix
    made = 0.7 * torch.randn(250, 12, generator=generator) @ mix + 0.4
    return real, made


def test_the_distance_is_that_of_torchmetrics_and_scipy() -> None:
    real, made = two_sets()
    (mu_r, mu_m), (cov_r, cov_m) = (
        [x.double().mean(0) for x in (real, made)],
        [torch.cov(x.double().T) for x in (real, made)],
    )
    ours = frechet_distance(real, made)
    assert ours == pytest.approx(float(_compute_fid(mu_r, cov_r, mu_m, cov_m)), rel=1e-6)
    root = linalg.sqrtm(cov_r.numpy() @ cov_m.numpy()).real
    spread = (cov_r + cov_m).numpy() - 2 * root
    expected = float((mu_r - mu_m).square().sum()) + np.trace(spread)
    assert ours == pytest.approx(expected, rel=1e-6)


def test_a_set_is_at_no_distance_from_itself_even_where_features_are_constant() -> None:
    real, _ = two_sets()
    flat = torch.cat([real, torch.ones(len(real), 2)], 1)
    assert frechet_distance(flat, flat) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_precision_and_recall_are_those_of_a_search_tree(neighbours: int) -> None:
    real, made = (x[:, :3].double() for x in two_sets(1))

    def share(inner: Tensor, outer: Tensor) -> float:
        tree = cKDTree(outer.numpy())
        radii = tree.query(outer.numpy(), neighbours + 1)[0][:, -1]
        covered = [
            any(np.linalg.norm(p - o) <= r for o, r in zip(outer.numpy(), radii, strict=True))
            for p in inner.numpy()
        ]
        return float(np.mean(covered))

    found = manifold_precision_recall(real, made, neighbours)
    assert found.precision == pytest.approx(share(made, real))
    assert found.recall == pytest.approx(share(real, made))
    assert 0 < found.recall < 1


def test_a_narrow_set_is_precise_and_recalls_little() -> None:
    generator = torch.Generator().manual_seed(3)
    real = torch.randn(400, 4, generator=generator)
    found = manifold_precision_recall(real, 0.2 * torch.randn(400, 4, generator=generator))
    assert found.precision > 0.95 and found.recall < 0.3


def test_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 3"):
        manifold_precision_recall(torch.zeros(3, 2), torch.zeros(9, 2))
    with pytest.raises(ValueError, match="two sets"):
        frechet_distance(torch.zeros(1, 2), torch.zeros(9, 2))
