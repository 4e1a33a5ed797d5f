"""Scenes: deterministic, and put together so that a person would call them tidy."""

from dataclasses import fields, is_dataclass

import pytest
import torch
from torch import Tensor

from models.data.world import CLOSE_UP, SHAPES, TABLETOP, SceneSpec, WorldSpec, compose_scenes


def tensors(scenes: object) -> dict[str, Tensor]:
    """All tensors of a (nested) dataclass, their batch first."""
    found: dict[str, Tensor] = {}
    for field in fields(scenes):  # type: ignore[arg-type]
        value = getattr(scenes, field.name)
        if is_dataclass(value):
            found |= {f"{field.name}.{name}": x for name, x in tensors(value).items()}
        else:
            vector = value.shape[0] in (2, 3) and value.ndim > 1
            found[field.name] = value.movedim(1, 0) if vector else value
    return found


@pytest.mark.parametrize("spec", [CLOSE_UP, TABLETOP])
def test_a_scene_is_the_same_whatever_its_batch(spec: SceneSpec) -> None:
    together = tensors(compose_scenes(spec, seed=5, indices=torch.arange(37)))
    alone = tensors(compose_scenes(spec, seed=5, indices=torch.arange(20, 25)))
    for name, values in alone.items():
        torch.testing.assert_close(values, together[name][20:25], rtol=1e-5, atol=1e-6, msg=name)


def test_every_object_stands_on_the_table() -> None:
    scenes = compose_scenes(TABLETOP, seed=0, indices=torch.arange(50))
    torch.testing.assert_close(scenes.position[1], scenes.size[1])


def test_no_two_objects_overlap_and_none_is_in_the_wall() -> None:
    scenes = compose_scenes(SceneSpec(max_objects=8), seed=0, indices=torch.arange(100))
    x, _, z = scenes.size
    square = torch.isin(
        scenes.shape, torch.tensor([SHAPES.index(s) for s in ("cube", "pyramid", "prism")])
    )
    foot = torch.where(square, torch.hypot(x, z), torch.maximum(x, z))
    ground = scenes.position[::2].permute(1, 2, 0)  # [B, K, 2]
    apart = torch.cdist(ground, ground)
    both = scenes.present[:, :, None] & scenes.present[:, None]
    both &= ~torch.eye(8, dtype=torch.bool)
    assert both.any()
    assert bool((apart > foot[:, :, None] + foot[:, None])[both].all())
    assert bool((scenes.position[2] + foot < scenes.room.wall_z[:, None])[scenes.present].all())


def test_counts_stay_within_the_spec() -> None:
    spec = SceneSpec(min_objects=2, max_objects=4)
    count = compose_scenes(spec, seed=0, indices=torch.arange(500)).present.sum(1)
    assert set(count.tolist()) == {2, 3, 4}


def test_the_first_objects_are_of_every_kind_alike() -> None:
    scenes = compose_scenes(CLOSE_UP, seed=0, indices=torch.arange(6400))
    counts = torch.bincount(scenes.shape[:, 0] * 8 + scenes.colour[:, 0], minlength=64)
    assert int(counts.min()) > 60 and int(counts.max()) < 145


def test_cubes_never_stand_face_on() -> None:
    scenes = compose_scenes(CLOSE_UP, seed=0, indices=torch.arange(2000))
    cube = scenes.shape[:, 0] == SHAPES.index("cube")
    sight = scenes.position[:, :, 0] - scenes.camera.eye
    turn = scenes.yaw[:, 0] - torch.atan2(sight[0], sight[2])
    degrees = torch.rad2deg(turn[cube]) % 90
    assert float(degrees.min()) > 21.9 and float(degrees.max()) < 68.1


def test_a_still_life_is_arranged_and_seen_from_one_place() -> None:
    spec = SceneSpec(max_objects=3, still_life=True)
    scenes = compose_scenes(spec, seed=0, indices=torch.arange(600))
    eye, light = scenes.camera.eye, scenes.light.direction
    assert torch.equal(eye, eye[:, :1].expand_as(eye))
    assert torch.equal(light, light[:, :1].expand_as(light))
    counts = scenes.present.sum(1)
    assert all(int((counts == count).sum()) > 150 for count in (1, 2, 3))
    x, _, z = scenes.position
    one = x[counts == 1, 0]
    assert float(one.abs().max()) <= 0.05
    for k in range(3):
        for other in range(k):
            both = scenes.present[:, k] & scenes.present[:, other]
            apart = torch.hypot(x[:, k] - x[:, other], z[:, k] - z[:, other])[both]
            assert float(apart.min()) > 0.9


def test_splits_and_seeds_share_no_scene() -> None:
    seeds = {
        WorldSpec(CLOSE_UP, 1, split=split, seed=seed).scene_seed
        for split in ("train", "val", "test")
        for seed in range(50)
    }
    assert len(seeds) == 150
    eyes = [
        compose_scenes(CLOSE_UP, seed=seed, indices=torch.arange(200)).camera.eye.T
        for seed in range(4)
    ]
    assert len(torch.cat(eyes).unique(dim=0)) == 800


@pytest.mark.parametrize("bad", [{"min_objects": 0}, {"min_objects": 5, "max_objects": 2}])
def test_an_impossible_spec_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="objects"):
        SceneSpec(**bad)


def test_a_close_up_of_two_objects_is_refused() -> None:
    with pytest.raises(ValueError, match="close-up"):
        SceneSpec(max_objects=2, close_up=True)
    with pytest.raises(ValueError, match="still life"):
        SceneSpec(max_objects=5, still_life=True)
