from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from exporters.errors import ParityError
from exporters.graph import export_graph, save_graph
from exporters.parity import max_distance, measure_parity, run_torch
from tests.exporters.networks import SmallClassifier, images


class PicksByNeighbour(nn.Module):
    """Answers each sample from the whole batch, as a leaking normalisation would."""

    def forward(self, image: Tensor) -> Tensor:
        flat = image.flatten(1).float() / 255
        return flat - flat.mean(0, keepdim=True)


def exported(module: nn.Module, folder: Path) -> Path:
    (path,) = save_graph(export_graph(module, {"image": images(2)}, ["out"]), folder / "g.onnx")
    return path


def test_every_batch_size_is_recorded(tmp_path: Path):
    module = SmallClassifier().eval()
    samples = {"image": images(8).numpy()}
    expected = run_torch(module, samples, ["out"])
    entries = measure_parity(
        exported(module, tmp_path), samples, expected, tolerances={"out": 1e-4}
    )
    assert [entry.batch for entry in entries] == [1, 2, 3, 8]
    assert all(entry.output == "out" and entry.max_abs <= 1e-5 for entry in entries)


def test_another_networks_answers_are_no_parity(tmp_path: Path):
    module = SmallClassifier().eval()
    samples = {"image": images(8).numpy()}
    expected = run_torch(module, samples, ["out"])
    expected["out"] = expected["out"] + np.float32(2e-4)
    with pytest.raises(ParityError, match=r"out differs from PyTorch by 0\.0002 at batch 1"):
        measure_parity(exported(module, tmp_path), samples, expected, tolerances={"out": 1e-4})


def test_a_sample_that_its_neighbours_change_is_no_parity(tmp_path: Path):
    module = PicksByNeighbour().eval()
    samples = {"image": images(8).numpy()}
    expected = run_torch(module, samples, ["out"])
    with pytest.raises(ParityError, match="at batch 1"):
        measure_parity(exported(module, tmp_path), samples, expected, tolerances={"out": 1e-4})


@pytest.mark.parametrize("wrong", [np.full(3, np.nan), np.full(3, np.inf), np.zeros(4)])
def test_what_is_not_finite_or_not_of_the_shape_is_infinitely_far(wrong: np.ndarray):
    assert max_distance(np.zeros(3), wrong) == float("inf")


def test_unsigned_numbers_do_not_wrap_around():
    assert max_distance(np.array([1], np.uint8), np.array([3], np.uint8)) == 2.0


def test_names_are_as_far_apart_as_the_share_that_differs():
    ids = np.array([[1, 1], [200, 3]], np.uint8)
    found = np.array([[1, 1], [2, 3]], np.uint8)
    assert max_distance(ids, found, by_share=True) == 0.25
    assert max_distance(ids, found[:1], by_share=True) == float("inf")


def test_pytorch_answers_by_name():
    answers = run_torch(nn.Identity(), {"x": np.ones((2, 3), np.float32)}, ["y"])
    assert torch.equal(torch.from_numpy(answers["y"]), torch.ones(2, 3))
