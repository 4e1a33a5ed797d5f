from pathlib import Path
from typing import Any

import pytest
import torch
from torch.export import Dim

from models.depth import DepthNetwork, load_depth, save_depth
from models.training.checkpoint import CheckpointError, write_checkpoint
from tests.models.depth.floors import tiny_spec

IMAGES = torch.randint(
    0, 256, (3, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


@pytest.mark.parametrize("finest_stride", [1, 2])
def test_training_hears_both_views_at_every_scale(finest_stride: int) -> None:
    network = DepthNetwork(tiny_spec(finest_stride=finest_stride)).train()
    said = network(IMAGES)
    sides = [64 // (finest_stride * 2**scale) for scale in range(4)]
    assert [tuple(d.shape) for d in said] == [(3, 2, side, side) for side in sides]
    assert all(d.min() >= 0 and d.max() <= 0.3 for d in said)


@pytest.mark.parametrize("finest_stride", [1, 2])
def test_serving_hears_the_finest_left_disparity(finest_stride: int) -> None:
    network = DepthNetwork(tiny_spec(finest_stride=finest_stride)).train()
    for module in network.modules():  # both modes must use the same statistics
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    finest = network(IMAGES)[0][:, :1]
    left = network.eval()(IMAGES)
    assert left.shape == (3, 64, 64)
    expected = torch.nn.functional.interpolate(finest, (64, 64), mode="bilinear")[:, 0]
    torch.testing.assert_close(left, expected)


@pytest.mark.parametrize(("padding", "finest_stride"), [("zeros", 2), ("reflect", 1)])
def test_the_batch_is_free_in_an_exported_graph(padding: str, finest_stride: int) -> None:
    network = DepthNetwork(tiny_spec(padding=padding, finest_stride=finest_stride)).eval()
    program = torch.export.export(network, (IMAGES[:2],), dynamic_shapes=({0: Dim.DYNAMIC},))
    torch.testing.assert_close(program.module()(IMAGES), network(IMAGES))


def test_disparity_is_a_share_of_the_width_at_any_size() -> None:
    network = DepthNetwork(tiny_spec(min_disparity=0.1, max_disparity=0.2)).eval()
    answer = network(torch.zeros(1, 64, 96, 3, dtype=torch.uint8))
    assert answer.shape == (1, 64, 96) and answer.min() >= 0.1 and answer.max() <= 0.2


def test_a_checkpoint_answers_as_what_was_saved(tmp_path: Path) -> None:
    spec = tiny_spec(focal_px=70.0, baseline_m=0.1)
    network = DepthNetwork(spec).eval()
    save_depth(tmp_path / "x", spec, network.state_dict(), {"step": 3})
    loaded, loaded_spec, metadata = load_depth(tmp_path / "x")
    assert loaded_spec == spec and metadata == {"step": 3}
    assert torch.equal(loaded(IMAGES), network(IMAGES))


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a", {}, {"kind": "classifier"})
    with pytest.raises(CheckpointError, match="holds a 'classifier', not a depth network"):
        load_depth(tmp_path / "a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_size": (64, 65)}, "must divide by 32, got"),
        ({"input_size": (32, 64)}, "a single row cannot be reflected"),
        ({"finest_stride": 2, "scales": 5}, "no 5 scales from stride 2 on"),
        ({"max_disparity": 0.0}, "need 0 <= min_disparity < max_disparity"),
        ({"baseline_m": -0.1}, "baseline_m must be positive, got -0.1"),
        ({"std": (0.0, 1.0, 1.0)}, "must be positive"),
    ],
)
def test_specs_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_spec(**changes)


def test_metres_need_both_focal_length_and_baseline() -> None:
    assert tiny_spec(focal_px=32.0).metres is None
    assert tiny_spec(focal_px=32.0, baseline_m=0.2).metres == pytest.approx(0.1)
