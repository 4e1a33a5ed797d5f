from pathlib import Path

import torch

from models.depth.augment import NO_AUGMENT, AugmentSpec
from models.depth.data import StereoBatches, open_pairs
from models.depth.recipe import DataSpec, WorldData
from models.training.task import Share
from tests.models.depth.floors import floor_pairs

AUGMENT = AugmentSpec()


def batches(augment: AugmentSpec, size: tuple[int, int] = (64, 64)) -> StereoBatches:
    return StereoBatches(floor_pairs(10, 0), size=size, batch_size=4, augment=augment, seed=3)


def test_a_step_always_gives_the_same_batch() -> None:
    first, second = (batches(AUGMENT).batch(7, Share()) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in ("left", "right"))
    assert not torch.equal(first["left"], batches(AUGMENT).batch(8, Share())["left"])


def test_the_shares_make_the_whole_batch() -> None:
    whole = batches(NO_AUGMENT).batch(2, Share())
    parts = [batches(NO_AUGMENT).batch(2, Share(i, 2)) for i in range(2)]
    assert torch.equal(whole["right"], torch.cat([part["right"] for part in parts]))


def test_batches_come_at_the_size_asked() -> None:
    batch = batches(AUGMENT, (32, 32)).batch(0, Share())
    assert batch["left"].shape == batch["right"].shape == (4, 32, 32, 3)


def test_training_is_given_no_depth(tmp_path: Path) -> None:
    world = WorldData(train=2, val=1, test=1, size_px=32, root=str(tmp_path))
    train, val = (open_pairs(DataSpec(world=world), split) for split in ("train", "val"))
    assert not train.has_depth and val.has_depth
    left, right = train.read(torch.tensor([1]), (32, 32))
    assert not torch.equal(left, right)
    assert 0.15 < float(train.cameras(torch.tensor([0])).baseline_m) < 0.25
    assert val.depth(0).shape == (32, 32) and val.depth(0).min() > 1
