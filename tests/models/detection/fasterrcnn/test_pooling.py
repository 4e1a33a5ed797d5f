"""Levels and pooled regions against torchvision's."""

import pytest
import torch
from torch import Tensor
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import LevelMapper

from models.detection.fasterrcnn.pooling import assign_levels, pool_regions

STRIDES = (4, 8, 16, 32)
SIZE = (512, 640)


def regions(count: int, seed: int = 0) -> Tensor:
    """Boxes [2, R, 4] of all sizes inside the image, some thin, some at its borders."""
    draw = torch.Generator().manual_seed(seed)
    height, width = SIZE
    sides = torch.tensor([width, height])
    centre = torch.rand(2, count, 2, generator=draw) * sides
    size = sides * torch.rand(2, count, 2, generator=draw) ** 2
    low, high = (centre - size / 2).clamp_min(0), torch.minimum(centre + size / 2, sides)
    return torch.cat([low, high], -1)


def test_levels_are_those_of_torchvision() -> None:
    boxes = regions(500)
    expected = LevelMapper(2, 5)([boxes[0], boxes[1]]).view(2, -1)
    assert torch.equal(assign_levels(boxes, STRIDES), expected)
    assert expected.unique().tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("side", "stride"), [(56, 4), (111, 4), (112, 8), (223, 8), (224, 16), (448, 32), (2000, 32)]
)
def test_a_box_twice_the_size_is_a_level_higher(side: float, stride: int) -> None:
    box = torch.tensor([[10.0, 20.0, 10 + side, 20 + side]])
    assert STRIDES[int(assign_levels(box, STRIDES))] == stride


def test_a_box_without_area_is_on_the_finest_level() -> None:
    assert int(assign_levels(torch.tensor([[5.0, 5.0, 5.0, 9.0]]), STRIDES)) == 0


@pytest.mark.parametrize("half_pixel", [False, True])
def test_pools_as_torchvision_does(half_pixel: bool) -> None:
    boxes = regions(60, seed=1)
    draw = torch.Generator().manual_seed(2)
    maps = [torch.randn(2, 3, SIZE[0] // s, SIZE[1] // s, generator=draw) for s in STRIDES]
    pooled = pool_regions(maps, boxes, strides=STRIDES, half_pixel=half_pixel)
    assert pooled.shape == (2, 60, 3, 7, 7)
    if not half_pixel:  # the only form that torchvision's class knows
        names = [str(stride) for stride in STRIDES]
        pooler = MultiScaleRoIAlign(names, output_size=7, sampling_ratio=2)
        named = dict(zip(names, maps, strict=True))
        expected = pooler(named, [boxes[0], boxes[1]], [SIZE, SIZE])
        torch.testing.assert_close(pooled.flatten(0, 1), expected)


def test_half_pixels_centre_the_cells() -> None:
    """On a map that holds each cell's own centre, a region's mean is its centre."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(80.0), indexing="ij")
    centres = (torch.stack([x, y]) + 0.5) * 4  # of stride 4, in pixels
    box = torch.tensor([[[40.0, 60.0, 90.0, 100.0]]])
    pooled = pool_regions([centres[None]], box, strides=(4,), half_pixel=True)
    torch.testing.assert_close(pooled.mean((-2, -1))[0, 0], torch.tensor([65.0, 80.0]))


def test_a_region_reads_its_own_level_alone() -> None:
    maps = [torch.full((1, 1, 64 // s, 64 // s), float(s)) for s in (4, 8)]
    boxes = torch.tensor([[[0.0, 0.0, 16.0, 16.0], [0.0, 0.0, 40.0, 40.0]]])
    pooled = pool_regions(maps, boxes, strides=(4, 8), canonical_px=64.0)
    assert pooled.mean((2, 3, 4)).tolist() == [[4.0, 8.0]]
