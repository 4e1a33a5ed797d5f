import math

import numpy as np
import pytest
import torch

from models.depth.measures import FIGURES, DepthMeasures, depth_figures, median_scaled

GENERATOR = torch.Generator().manual_seed(0)
TRUTH = torch.rand(7, 9, generator=GENERATOR) * 6 + 0.5
TRUTH[0, :4] = 0  # unknown
TRUTH[1, 1] = 200  # beyond what counts
ANSWER = TRUTH * (0.6 + torch.rand(7, 9, generator=GENERATOR))


def figures_by_loop(answer: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Eigen et al. 2014, pixel by pixel."""
    sums, count = dict.fromkeys(FIGURES, 0.0), 0
    for z, t in zip(answer.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if not 1e-3 < t < 80:
            continue
        z = min(max(z, 1e-3), 80)
        count += 1
        sums["abs_rel"] += abs(z - t) / t
        sums["sq_rel"] += (z - t) ** 2 / t
        sums["rmse"] += (z - t) ** 2
        sums["rmse_log"] += (math.log(z) - math.log(t)) ** 2
        for power, name in enumerate(("d1", "d2", "d3"), 1):
            sums[name] += max(z / t, t / z) < 1.25**power
    means = {name: total / count for name, total in sums.items()}
    return {**means, **{name: math.sqrt(means[name]) for name in ("rmse", "rmse_log")}}


def test_they_are_the_formulas() -> None:
    ours = dict(zip(FIGURES, depth_figures(ANSWER, TRUTH).tolist(), strict=True))
    assert ours == pytest.approx(figures_by_loop(ANSWER.numpy(), TRUTH.numpy()), rel=1e-5)


def test_median_scaling_forgives_a_factor() -> None:
    scaled = median_scaled(ANSWER * 13, TRUTH)
    known = ((TRUTH > 1e-3) & (TRUTH < 80)).numpy()
    middle = (known.sum() - 1) // 2  # of two middle values torch takes the lower
    factor = np.sort(TRUTH.numpy()[known])[middle] / np.sort(ANSWER.numpy()[known])[middle]
    ours = dict(zip(FIGURES, depth_figures(scaled, TRUTH).tolist(), strict=True))
    assert ours == pytest.approx(figures_by_loop(ANSWER.numpy() * factor, TRUTH.numpy()), rel=1e-4)


def test_a_perfect_answer_has_no_error() -> None:
    assert depth_figures(TRUTH, TRUTH).tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_every_image_weighs_the_same() -> None:
    measures = DepthMeasures.zero()
    sparse = TRUTH.clone()
    sparse[2:] = 0
    for truth in (TRUTH, sparse):
        measures.add(depth_figures(ANSWER, truth))
    each = [depth_figures(ANSWER, truth)[0] for truth in (TRUTH, sparse)]
    assert measures.figures("x_")["x_abs_rel"] == pytest.approx(float(sum(each) / 2))


def test_an_image_of_unknown_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="without a single pixel of known depth"):
        depth_figures(ANSWER, torch.zeros(7, 9))
