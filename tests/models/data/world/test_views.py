"""Pictures and truths agree with one another and with the geometry they came from."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.data.world import (
    CLASS_NAMES,
    CLOSE_UP,
    COLOURS,
    TABLETOP,
    Scenes,
    Views,
    compose_scenes,
    render_views,
)
from models.data.world.boxes import least_visible_px

SIZE = 96


@cache
def tables() -> tuple[Scenes, Views]:
    scenes = compose_scenes(TABLETOP, seed=1, indices=torch.arange(6))
    return scenes, render_views(scenes, size_px=SIZE, supersample=2, stereo=True)


@cache
def close_ups() -> tuple[Scenes, Views]:
    scenes = compose_scenes(CLOSE_UP, seed=2, indices=torch.arange(160))
    return scenes, render_views(scenes, size_px=64)


def back_project(scenes: Scenes, depth: Tensor) -> Tensor:
    """Depth [B, H, W] to points [3, B, H, W], from the intrinsics alone."""
    size = depth.shape[-1]
    focal, centre_x, centre_y, _ = scenes.camera.intrinsics(size).T[..., None, None]
    pixel = torch.arange(size) + 0.5
    x = (pixel[None, None, :] - centre_x) / focal * depth
    y = (centre_y - pixel[None, :, None]) / focal * depth
    axes = (scenes.camera.right, scenes.camera.up, scenes.camera.forward, scenes.camera.eye)
    right, up, forward, eye = (axis[:, :, None, None] for axis in axes)
    return eye + x * right + y * up + depth * forward


def test_depth_leads_back_to_the_table_and_the_wall() -> None:
    scenes, views = tables()
    assert views.truth is not None
    point = back_project(scenes, views.truth.depth)
    on_table = views.truth.classes == CLASS_NAMES.index("table")
    on_wall = views.truth.classes == CLASS_NAMES.index("wall")
    wall = scenes.room.wall_z[:, None, None].expand_as(point[2])
    assert on_table.any() and on_wall.any()
    torch.testing.assert_close(
        point[1][on_table], torch.zeros(int(on_table.sum())), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(point[2][on_wall], wall[on_wall], atol=1e-3, rtol=0)


def test_depth_leads_back_to_balls() -> None:
    scenes, views = close_ups()
    assert views.truth is not None
    point = back_project(scenes, views.truth.depth)
    ball = (views.truth.classes == CLASS_NAMES.index("ball")).nonzero().T
    scene, row, column = ball
    away = point[:, scene, row, column] - scenes.position[:, scene, 0]
    torch.testing.assert_close(away.norm(dim=0), scenes.size[0, scene, 0], atol=2e-3, rtol=0)


def warp(image: Tensor, disparity_px: Tensor) -> Tensor:
    """Read image [B, C, H, W] at x - disparity."""
    size = image.shape[-1]
    pixel = torch.arange(size) + 0.5
    x = (pixel[None, None, :] - disparity_px) / size * 2 - 1
    y = (pixel / size * 2 - 1)[None, :, None].expand_as(x)
    grid = torch.stack([x, y], dim=-1)
    return F.grid_sample(image, grid, align_corners=False, padding_mode="border")


def test_the_right_image_warped_by_the_true_disparity_is_the_left_one() -> None:
    scenes, views = tables()
    assert views.truth is not None and views.right is not None
    left = views.image.permute(0, 3, 1, 2).float() / 255
    right = views.right.permute(0, 3, 1, 2).float() / 255
    focal, _, _, baseline = scenes.camera.intrinsics(SIZE).T[..., None, None]
    depth = views.truth.depth
    disparity = focal * baseline / depth
    other = render_views(replace(scenes, camera=scenes.camera.right_eye()), size_px=SIZE).truth
    assert other is not None
    warped_depth = warp(other.depth[:, None], disparity)[:, 0]
    seen_by_both = ((warped_depth - depth).abs() < 0.01 * depth) & (disparity < torch.arange(SIZE))
    assert seen_by_both.float().mean() > 0.7
    apart = (left - right).abs().mean(1)[seen_by_both].mean()
    error = (left - warp(right, disparity)).abs().mean(1)[seen_by_both].mean()
    assert error < 0.2 * apart


def test_disparities_suit_stereo_matching() -> None:
    scenes, views = tables()
    assert views.truth is not None
    focal, _, _, baseline = scenes.camera.intrinsics(SIZE).T[..., None, None]
    disparity = focal * baseline / views.truth.depth
    assert float(disparity.min()) > 0.01 * SIZE and float(disparity.max()) < 0.2 * SIZE


def test_boxes_are_the_extents_of_the_masks() -> None:
    _, views = tables()
    assert views.truth is not None
    boxes, instances = views.truth.boxes, views.truth.instances.numpy()
    assert int(boxes.count.sum()) > 6
    for i, image in enumerate(instances):
        expected = {
            k: [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            for k in np.unique(image[image > 0])
            for rows, columns in [np.nonzero(image == k)]
            if len(rows) >= least_visible_px(SIZE)
        }
        count = int(boxes.count[i])
        found = zip(boxes.instance[i].tolist(), boxes.xyxy_px[i].tolist(), strict=True)
        assert dict(list(found)[:count]) == expected
        assert not boxes.instance[i, count:].any() and not boxes.xyxy_px[i, count:].any()


def test_classes_are_those_of_the_instances() -> None:
    scenes, views = tables()
    assert views.truth is not None
    for i in range(len(scenes)):
        for k in views.truth.boxes.instance[i].tolist()[: int(views.truth.boxes.count[i])]:
            seen = views.truth.classes[i][views.truth.instances[i] == k].unique()
            assert seen.tolist() == [2 + int(scenes.shape[i, k - 1])]


@pytest.mark.parametrize(("size_px", "least"), [(32, 4), (64, 8), (128, 30), (256, 120)])
def test_the_least_visible_size_grows_with_the_image(size_px: int, least: int) -> None:
    assert abs(least_visible_px(size_px) - least) <= 1


def test_close_ups_show_the_whole_object_large() -> None:
    _, views = close_ups()
    assert views.truth is not None
    mask = views.truth.instances > 0
    assert not mask[:, [0, -1]].any() and not mask[:, :, [0, -1]].any()
    left, top, right, bottom = views.truth.boxes.xyxy_px[:, 0].T
    longer = torch.maximum(right - left, bottom - top)
    assert int(longer.min()) >= 16
    assert ((longer >= 25) & (longer <= 54)).float().mean() > 0.9


def test_pixels_do_not_depend_on_the_batch() -> None:
    numbers = torch.arange(8)
    together = render_views(
        compose_scenes(TABLETOP, seed=4, indices=numbers), size_px=48, supersample=2
    ).image
    alone = torch.cat(
        [
            render_views(
                compose_scenes(TABLETOP, seed=4, indices=one), size_px=48, supersample=2
            ).image
            for one in numbers.split(1)
        ]
    )
    differ = (together.int() - alone.int()).abs()
    assert (differ > 1).float().mean() < 1e-3


def test_colours_stay_apart_in_every_light() -> None:
    """The mean chromaticity of an object's pixels is nearest to that of its own colour's others."""
    scenes, views = close_ups()
    assert views.truth is not None
    mask = (views.truth.instances > 0)[..., None]
    linear = (views.image / 255) ** 2.2
    mean = (linear * mask).sum((1, 2)) / mask.sum((1, 2))
    feature = mean / mean.sum(1, keepdim=True)
    colour = scenes.colour[:, 0]
    centres = torch.stack([feature[colour == c].mean(0) for c in range(len(COLOURS))])
    nearest = torch.cdist(feature, centres).argmin(1)
    assert (nearest == colour).float().mean() > 0.99


def test_pictures_have_texture_for_stereo() -> None:
    _, views = tables()
    step = views.image[:, :, 1:].int() - views.image[:, :, :-1].int()
    assert (step.abs().amax(-1) >= 1).float().mean() > 0.7


def test_supersampling_smooths_but_does_not_move() -> None:
    scenes = compose_scenes(TABLETOP, seed=4, indices=torch.arange(3))
    coarse, fine = (
        render_views(scenes, size_px=64, supersample=n, truths=False).image.float() for n in (1, 3)
    )
    assert (coarse - fine).abs().mean() < 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_gpu_makes_the_same_pictures() -> None:
    images, depths = [], []
    for device in ("cpu", "cuda"):
        scenes = compose_scenes(TABLETOP, seed=4, indices=torch.arange(16, device=device))
        views = render_views(scenes, size_px=64, supersample=2)
        assert views.truth is not None
        images.append(views.image.cpu().int())
        depths.append(views.truth.depth.cpu())
    assert ((images[0] - images[1]).abs() > 2).float().mean() < 5e-3
    assert ((depths[0] - depths[1]).abs() > 1e-3).float().mean() < 5e-3
