import torch

from models.depth.augment import NO_AUGMENT, AugmentSpec, augment_pairs
from models.geometry import shift_columns
from tests.models.depth.floors import BASELINE_M, FOCAL_PX, floor_arrays


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_mirror_swaps_the_views() -> None:
    left, right, _ = floor_arrays(3, 0)
    mirrored = augment_pairs(AugmentSpec(flip=1, recolour=0), left, right, generator())
    assert torch.equal(mirrored[0], right.flip(2)) and torch.equal(mirrored[1], left.flip(2))


def test_a_mirrored_pair_is_still_a_left_and_a_right_one() -> None:
    left, right, depth = floor_arrays(3, 0)
    first, second = augment_pairs(AugmentSpec(flip=1, recolour=0), left, right, generator())
    disparity = (FOCAL_PX * BASELINE_M / depth).flip(2)  # a floor's rows have one disparity each
    planes = [view.permute(0, 3, 1, 2).float() for view in (first, second)]
    rebuilt = shift_columns(planes[1], -disparity)
    inner = slice(10, 54)
    assert (rebuilt - planes[0])[..., inner].abs().max() < 1
    wrong = shift_columns(planes[1], disparity)
    assert (wrong - planes[0])[..., inner].abs().mean() > 3


def test_both_views_change_colour_alike() -> None:
    left, _, _ = floor_arrays(4, 0)
    first, second = augment_pairs(AugmentSpec(flip=0, recolour=1), left, left, generator())
    assert torch.equal(first, second) and not torch.equal(first, left)


def test_values_change_by_gamma_brightness_and_colour() -> None:
    spec = AugmentSpec(0, 1, gamma=(2.0, 2.0), brightness=(0.5, 0.5), colour=(1.0, 1.0))
    view = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    changed, _ = augment_pairs(spec, view, view, generator())
    expected = ((torch.arange(256) / 255) ** 2 * 0.5 * 255).round().to(torch.uint8)
    assert torch.equal(changed[0, ..., 1].flatten(), expected)


def test_nothing_asked_changes_nothing() -> None:
    left, right, _ = floor_arrays(2, 0)
    same = augment_pairs(NO_AUGMENT, left, right, generator())
    assert torch.equal(same[0], left) and torch.equal(same[1], right)
