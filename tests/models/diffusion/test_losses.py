from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.classification import Classifier, ClassifierSpec
from models.diffusion.autoencoder_task import signal_to_noise
from models.diffusion.discriminator import PatchDiscriminator, adversarial_losses
from models.diffusion.perceptual import PerceptualDistance


def classifier() -> Classifier:
    kwargs = {"channels": [4, 8, 8, 16], "stem_width": 4}
    spec = ClassifierSpec("resnet10t", ("a", "b"), (32, 32), kwargs)
    return Classifier(spec).eval()


def test_the_perceptual_distance_is_lpips_without_its_weights() -> None:
    network = classifier()
    distance = PerceptualDistance(network)
    a, b = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    spec = network.spec
    mean, std = (torch.tensor(x)[:, None, None] for x in (spec.mean, spec.std))
    parts = []
    with torch.no_grad():
        features = [
            network.backbone.forward_intermediates(((x + 1) / 2 - mean) / std)[1]  # type: ignore[operator]
            for x in (a, b)
        ]
    for one, other in zip(*features, strict=True):
        lit = [(x.norm(dim=1) > 0).float() for x in (one, other)]  # dark cells have no direction
        cosine = F.cosine_similarity(one, other, dim=1)
        parts.append((lit[0] + lit[1] - 2 * cosine).mean())
    torch.testing.assert_close(distance(a, b), torch.stack(parts).mean(), atol=1e-5, rtol=1e-4)
    assert float(distance(a, a)) == pytest.approx(0, abs=1e-6)
    assert not list(distance.parameters())


def test_one_optimiser_serves_the_maker_and_its_adversary() -> None:
    """Each gets the gradient of its own loss, as two optimisers would give it."""
    torch.manual_seed(0)
    adversary, maker = PatchDiscriminator(8), nn.Conv2d(3, 3, 1)
    real, source = torch.rand(2, 2, 3, 16, 16)
    fooling, telling = adversarial_losses(adversary, real, maker(source))
    (fooling + telling).backward()
    found = [[p.grad.clone() for p in m.parameters()] for m in (maker, adversary)]  # type: ignore[union-attr]
    expected_maker = torch.autograd.grad(-adversary(maker(source)).mean(), maker.parameters())
    on_real, on_made = adversary(real), adversary(maker(source).detach())
    hinge = 0.5 * (F.relu(1 - on_real).mean() + F.relu(1 + on_made).mean())
    expected_adversary = torch.autograd.grad(hinge, adversary.parameters())
    for ours, theirs in zip(found, (expected_maker, expected_adversary), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


def test_the_signal_to_noise_ratio_is_that_of_torchmetrics() -> None:
    from torchmetrics.functional.image import peak_signal_noise_ratio

    image, truth = torch.randint(0, 256, (2, 3, 8, 8, 3), dtype=torch.uint8)
    expected = [
        peak_signal_noise_ratio(one.float(), true.float(), 255.0)
        for one, true in zip(image, truth, strict=True)
    ]
    torch.testing.assert_close(signal_to_noise(image, truth).float(), torch.stack(expected))
