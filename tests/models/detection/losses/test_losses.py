import math

import pytest
import torch
import torch.nn.functional as F
from torchvision import ops

from models.detection.losses import (
    giou_loss,
    heatmap_focal_loss,
    sigmoid_focal_loss,
    smooth_l1_loss,
)
from tests.models.detection.test_boxes import random_boxes


def random_tensor(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0)) * 4


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.5, 0.5)])
def test_the_focal_loss_agrees_with_torchvision(alpha: float, gamma: float) -> None:
    logits = random_tensor(50, 7)
    targets = (random_tensor(50, 7).roll(1) > 2).float()
    ours = sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    expected = ops.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("p", "factor"), [(0.9, 0.01), (0.6, 0.16), (0.4, 0.36), (0.1, 0.81)])
def test_the_focal_factor_with_gamma_two(p: float, factor: float) -> None:
    logit = torch.tensor(math.log(p / (1 - p)))
    loss = sigmoid_focal_loss(logit, torch.tensor(1.0), alpha=0.5)
    assert float(loss) == pytest.approx(0.5 * factor * -math.log(p), rel=1e-4)


@pytest.mark.parametrize("beta", [0.0, 1 / 9, 1.0])
def test_smooth_l1_agrees_with_torch(beta: float) -> None:
    a, b = random_tensor(60), random_tensor(60).roll(3)
    expected = F.smooth_l1_loss(a, b, beta=beta, reduction="none")
    torch.testing.assert_close(smooth_l1_loss(a, b, beta=beta), expected)


def test_smooth_l1_is_huber_over_beta() -> None:
    a, b = random_tensor(60), random_tensor(60).roll(3)
    huber = F.huber_loss(a, b, delta=0.7, reduction="none")
    torch.testing.assert_close(smooth_l1_loss(a, b, beta=0.7), huber / 0.7)


def test_the_giou_loss_agrees_with_torchvision() -> None:
    a, b = random_boxes(40, 0), random_boxes(40, 1)
    torch.testing.assert_close(giou_loss(a, b), ops.generalized_box_iou_loss(a, b))


def test_the_heatmap_loss_agrees_with_a_plain_loop() -> None:
    logits, heatmap = random_tensor(2, 3, 5, 5), torch.rand(2, 3, 5, 5)
    heatmap[0, 1, 2, 3] = heatmap[1, 2, 0, 0] = 1
    ours = heatmap_focal_loss(logits, heatmap)
    for place in torch.cartesian_prod(*(torch.arange(n) for n in logits.shape)).tolist():
        z, y = float(logits[tuple(place)]), float(heatmap[tuple(place)])
        p = 1 / (1 + math.exp(-z))
        expected = -(
            (1 - p) ** 2 * math.log(p) if y == 1 else (1 - y) ** 4 * p**2 * math.log(1 - p)
        )
        assert float(ours[tuple(place)]) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_losses_stay_finite_at_extreme_logits() -> None:
    logits = torch.tensor([-200.0, 200.0], requires_grad=True)
    for heatmap in (torch.zeros(2), torch.ones(2)):
        loss = heatmap_focal_loss(logits, heatmap).sum()
        loss = loss + sigmoid_focal_loss(logits, heatmap).sum()
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss) and torch.isfinite(gradient).all()
