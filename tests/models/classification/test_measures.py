"""Measures against torchmetrics."""

import pytest
import torch
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
)

from models.classification.measures import CALIBRATION_BINS, ClassificationMeasures

CLASSES = 12


def random_answers(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (300,), generator=generator)
    logits = torch.randn(300, CLASSES, generator=generator)
    logits[torch.arange(300), labels] += 2 * torch.rand(300, generator=generator)
    return logits, labels


def measured(seed: int, pieces: int = 3) -> ClassificationMeasures:
    measures = ClassificationMeasures.zero(CLASSES, torch.device("cpu"))
    logits, labels = random_answers(seed)
    for part_logits, part_labels in zip(logits.chunk(pieces), labels.chunk(pieces), strict=True):
        measures.add(part_logits, part_labels)
    return measures


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_torchmetrics(seed: int) -> None:
    logits, labels = random_answers(seed)
    figures = measured(seed).figures()
    top1 = MulticlassAccuracy(CLASSES, average="micro")(logits, labels)
    top5 = MulticlassAccuracy(CLASSES, average="micro", top_k=5)(logits, labels)
    ece = MulticlassCalibrationError(CLASSES, n_bins=CALIBRATION_BINS)(logits.softmax(1), labels)
    assert figures["top1"] == pytest.approx(float(top1))
    assert figures["top5"] == pytest.approx(float(top5))
    assert figures["ece"] == pytest.approx(float(ece), abs=1e-6)
    loss = torch.nn.functional.cross_entropy(logits, labels)
    assert figures["loss"] == pytest.approx(float(loss), rel=1e-5)


def test_the_confusion_matrix_is_that_of_torchmetrics() -> None:
    logits, labels = random_answers(0)
    expected = MulticlassConfusionMatrix(CLASSES)(logits, labels)
    assert torch.equal(measured(0).confusion.long(), expected)


def test_counts_add_up_over_processes() -> None:
    doubled = measured(0).summed(lambda tensor: tensor * 2)
    assert doubled.figures() == pytest.approx(measured(0).figures())
    assert doubled.samples == 600


def test_fewer_than_five_classes_have_a_top_5_of_one() -> None:
    measures = ClassificationMeasures.zero(3, torch.device("cpu"))
    measures.add(torch.randn(10, 3), torch.randint(0, 3, (10,)))
    assert measures.figures()["top5"] == 1.0
