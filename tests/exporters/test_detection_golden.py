from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from exporters.detection_golden import choose_golden
from exporters.detection_graph import OUTPUTS, DetectionGraph, Selection
from exporters.drift import FLOOR
from exporters.parity import run_torch
from models.detection import Candidates
from tests.exporters.detectors import SIZE, CellDetector, cell_spec, patches

SELECTION = Selection.of(cell_spec(), 256)


class Shaken(nn.Module):
    """An engine that is off by as much as the golden tolerance of fp32 allows."""

    def __init__(self, network: nn.Module, seed: int, share: float = 0.9) -> None:
        super().__init__()
        self.network = network
        self.draw = torch.Generator().manual_seed(seed)
        self.share = share

    def forward(self, image: torch.Tensor) -> Candidates:
        boxes, scores = self.network(image)
        slack = FLOOR["fp32"] * self.share
        by = torch.rand(scores.shape, generator=self.draw) * 2 - 1
        scores = (scores + by * slack).clamp(0, 1)
        by = torch.rand(boxes.shape, generator=self.draw) * 2 - 1
        return Candidates(boxes + by * slack * max(SIZE), scores)


@pytest.fixture(scope="module")
def golden():
    return choose_golden(CellDetector().eval(), SELECTION, patches(24), "fp32")


def test_eight_inputs_of_which_the_first_are_scenes(golden) -> None:
    shapes = {name: value.shape for name, value in golden.tensors.items()}
    assert shapes == {
        "image": (8, *SIZE, 3),
        "score_threshold": (8, 1),
        "iou_threshold": (8, 1),
    }
    assert golden.tensors["score_threshold"].dtype == np.float32
    scenes = {image.tobytes() for image in patches(24)}
    assert all(image.tobytes() in scenes for image in golden.tensors["image"][:6])


def test_there_is_something_to_be_found_and_thresholds_differ(golden) -> None:
    answers = run_torch(DetectionGraph(CellDetector().eval(), SELECTION), golden.tensors, OUTPUTS)
    assert int(answers["count"].sum()) == golden.detections >= 12
    assert len(np.unique(golden.tensors["iou_threshold"])) > 1
    assert len(np.unique(golden.tensors["score_threshold"])) > 1


def test_the_answer_stays_on_an_engine_that_differs_within_the_tolerance(golden) -> None:
    """The point of the choice: labels and counts equal, scores and boxes near, whatever moved."""
    expected = run_torch(DetectionGraph(CellDetector().eval(), SELECTION), golden.tensors, OUTPUTS)
    for seed in range(20):
        other = DetectionGraph(Shaken(CellDetector(), seed).eval(), SELECTION)
        found = run_torch(other, golden.tensors, OUTPUTS)
        np.testing.assert_array_equal(found["count"], expected["count"])
        np.testing.assert_array_equal(found["labels"], expected["labels"])
        assert np.abs(found["scores"] - expected["scores"]).max() <= FLOOR["fp32"]
        assert np.abs(found["boxes"] - expected["boxes"]).max() <= FLOOR["fp32"] * max(SIZE)


def test_scenes_whose_scores_are_tied_are_not_chosen() -> None:
    """Two things of one score may come in either order: only what is above them is kept."""
    clear, tied = patches(12, seed=1), np.full((4, *SIZE, 3), 90, np.uint8)
    tied[:, :8, :8] = tied[:, 32:40, 32:40] = (250, 0, 0)
    chosen = choose_golden(CellDetector().eval(), SELECTION, np.concatenate([tied, clear]), "fp32")
    images = {image.tobytes() for image in chosen.tensors["image"]}
    assert tied[0].tobytes() not in images


def test_without_scenes_synthetic_images_do() -> None:
    golden = choose_golden(CellDetector().eval(), SELECTION, None, "fp16")
    assert golden.tensors["image"].shape == (8, *SIZE, 3)


def test_a_detector_without_suppression_has_no_threshold_for_it() -> None:
    plain = Selection(SIZE, needs_nms=False, max_detections=20, candidates=256)
    golden = choose_golden(CellDetector().eval(), plain, patches(8), "fp32")
    assert set(golden.tensors) == {"image", "score_threshold"}
