import pytest
import torch

from models.data.world import TABLETOP, compose_scenes, render_views
from models.geometry import (
    Camera,
    depth_from_disparity,
    disparity_from_depth,
    project,
    shift_columns,
)


def test_disparity_is_what_two_cameras_see() -> None:
    points = torch.tensor([[0.4, 0.1, 2.0], [-0.7, 0.3, 5.0]])
    camera, baseline_m = Camera(100.0, 100.0, 64.0, 64.0), 0.2
    left = project(points, camera)
    right = project(points - torch.tensor([baseline_m, 0.0, 0.0]), camera)
    disparity = disparity_from_depth(points[:, 2], 100.0, baseline_m)
    torch.testing.assert_close(disparity, left[:, 0] - right[:, 0])
    torch.testing.assert_close(depth_from_disparity(disparity, 100.0, baseline_m), points[:, 2])


def test_no_disparity_is_infinitely_far() -> None:
    depth = depth_from_disparity(torch.tensor([0.0, -1.0, 2.0]), 10.0, 0.1)
    assert depth.tolist() == [torch.inf, torch.inf, 0.5]


def test_no_depth_has_no_disparity() -> None:
    disparity = disparity_from_depth(torch.tensor([0.0, torch.inf, 0.5]), 10.0, 0.1)
    assert disparity.tolist() == [0.0, 0.0, 2.0]


@pytest.mark.parametrize(("focal", "baseline_m"), [(0.0, 1.0), (1.0, -1.0)])
def test_cameras_that_cannot_be_are_refused(focal: float, baseline_m: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        depth_from_disparity(torch.ones(1), focal, baseline_m)


def test_the_worlds_depth_warps_its_right_view_onto_its_left() -> None:
    scenes = compose_scenes(TABLETOP, seed=4, indices=torch.arange(2))
    views = render_views(scenes, size_px=64, supersample=2, stereo=True)
    assert views.truth is not None and views.right is not None
    focal, _, _, baseline = scenes.camera.intrinsics(64).unbind(1)
    shift = disparity_from_depth(views.truth.depth, focal[:, None, None], baseline[:, None, None])
    left = views.image.permute(0, 3, 1, 2).float() / 255
    right = views.right.permute(0, 3, 1, 2).float() / 255
    apart = (left - right).abs().mean()
    assert (left - shift_columns(right, -shift)).abs().mean() < 0.35 * apart
    assert (left - shift_columns(right, shift)).abs().mean() > apart
