from pathlib import Path

import numpy as np
import pytest
from scipy.stats import entropy

from exporters.accuracy import mean_divergence, measure_accuracy
from exporters.images import LabelledPixels
from tests.bundles import write_tiny_classifier


def test_divergence_is_that_of_scipy():
    expected, found = np.random.default_rng(0).dirichlet(np.ones(7), (2, 20)).astype(np.float32)
    reference = np.mean([entropy(p, q) for p, q in zip(expected, found, strict=True)])
    assert mean_divergence(expected, found) == pytest.approx(reference, rel=1e-5)


def test_divergence_bears_certainty():
    sure = np.eye(3, dtype=np.float32)
    assert mean_divergence(sure, sure) == 0.0
    assert np.isfinite(mean_divergence(sure, sure[::-1]))


def test_accuracy_counts_right_answers_and_agreement(tmp_path: Path):
    original = write_tiny_classifier(tmp_path, name="a", labels=("red", "green", "blue"))
    permuted = write_tiny_classifier(tmp_path, name="b", labels=("red", "blue", "green"))
    images = np.zeros((4, 32, 32, 3), np.uint8)
    images[[0, 1, 2, 3], ..., [0, 0, 1, 2]] = 255  # red, red, green, blue
    data = LabelledPixels(images, np.array([0, 0, 1, 1]), "four colours")
    accuracy = measure_accuracy(
        permuted.file("classify.onnx"), original.file("classify.onnx"), data
    )
    assert (accuracy.top1, accuracy.top1_fp32, accuracy.agreement) == (0.75, 0.75, 0.5)
    assert accuracy.max_abs > 0.9
