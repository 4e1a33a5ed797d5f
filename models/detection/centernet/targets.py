"""What CenterNet should answer: bumps around centres, and the box of each cell near one."""

from typing import NamedTuple

import torch
from torch import Tensor

from models.detection.boxes import area
from models.detection.detector import Targets

# Legend: B batch, K places for boxes, C classes, h w cells of the map of stride R.

#: The least IoU of a box with one whose corners moved by a bump's radius (Law and Deng 2018).
LEAST_IOU = 0.7


class CenterTargets(NamedTuple):
    heatmap: Tensor  # [B, C, h, w] in [0, 1], 1 at the cells of centres
    cells_xy: Tensor  # [B, K, 2] int64, the cell of each centre; 0 where padded
    offsets: Tensor  # [B, K, 2] in [0, 1): from the cell's corner to the centre, in cells
    sizes: Tensor  # [B, K, 2]: width and height in cells
    is_real: Tensor  # [B, K] bool, false where padded


def center_targets(
    targets: Targets, classes: int, grid: tuple[int, int], stride: int
) -> CenterTargets:
    """Of boxes in pixels, for a map of `grid` = (h, w) cells."""
    height, width = grid
    is_real = targets.labels >= 0  # [B, K]
    boxes = targets.boxes_xyxy / stride  # [B, K, 4] in cells
    centres = (boxes[..., :2] + boxes[..., 2:]) / 2  # [B, K, 2]
    last = torch.tensor([width - 1, height - 1], device=boxes.device)
    cells = torch.minimum(centres.floor().clamp_min(0).long(), last) * is_real[..., None]
    sizes = boxes[..., 2:] - boxes[..., :2]  # [B, K, 2]
    bumps = _round_bumps(cells, bump_radius(sizes), grid)  # [B, K, h, w]
    bumps = bumps * is_real[..., None, None]
    heatmap = bumps.new_zeros(len(boxes), classes, height, width)
    places = targets.labels.clamp_min(0)[..., None, None].expand_as(bumps)
    heatmap.scatter_reduce_(1, places, bumps, "amax")
    return CenterTargets(heatmap, cells, centres - cells, sizes, is_real)


def bump_radius(sizes: Tensor) -> Tensor:
    """How many whole cells both corners of a box may move and keep the least IoU: [..., 2] -> [...]

    The smallest of three cases: one box inside the other, around it, or pushed aside. CornerNet's
    code divides two of the quadratics by 2 instead of 2a; here they are solved.
    """
    width, height = sizes.unbind(-1)
    around, content = width + height, width * height
    t = LEAST_IOU
    # (w - r)(h - r) / (2 w h - (w - r)(h - r)) = t
    aside = _smaller_root(1, around, content * (1 - t) / (1 + t))
    # (w - 2 r)(h - 2 r) / (w h) = t
    inside = _smaller_root(4, 2 * around, content * (1 - t))
    # w h / ((w + 2 r)(h + 2 r)) = t, solved for -r
    outside = -_smaller_root(4 * t, 2 * t * around, content * (t - 1))
    return torch.minimum(torch.minimum(aside, inside), outside).clamp_min(0).floor()


def _smaller_root(a: float, b: Tensor, c: Tensor) -> Tensor:
    """Of a x² - b x + c."""
    return (b - (b.square() - 4 * a * c).clamp_min(0).sqrt()) / (2 * a)


def _round_bumps(cells: Tensor, radius: Tensor, grid: tuple[int, int]) -> Tensor:
    """exp(-d² / 2 sigma²) around each cell, with 6 sigma = 2 radius + 1: [B, K, h, w]."""
    sigma = (2 * radius + 1) / 6  # [B, K]
    return _bumps(cells, torch.stack([sigma, sigma], -1), grid)


def _bumps(centres: Tensor, sigmas: Tensor, grid: tuple[int, int]) -> Tensor:
    """Gaussians of the cells' coordinates: [B, K, 2] twice -> [B, K, h, w]."""
    height, width = grid
    x = torch.arange(width, device=centres.device) - centres[..., :1]  # [B, K, w]
    y = torch.arange(height, device=centres.device) - centres[..., 1:]  # [B, K, h]
    across = (-(x**2) / (2 * sigmas[..., :1] ** 2)).exp()
    down = (-(y**2) / (2 * sigmas[..., 1:] ** 2)).exp()
    return down[..., :, None] * across[..., None, :]


class CellTargets(NamedTuple):
    """For training every cell near a centre on its object's box (Liu et al. 2020, TTFNet)."""

    boxes_xyxy: Tensor  # [B, h, w, 4] in pixels, of the smallest object near whose centre it is
    weights: Tensor  # [B, h, w] >= 0; those of an object that nothing covers add up to 1


#: The share of a box's sides over which its cells learn it, as in the paper.
CELL_SHARE = 0.54
_LEAST_WEIGHT = 0.01


def cell_targets(targets: Targets, grid: tuple[int, int], stride: int) -> CellTargets:
    """Of boxes in pixels, for a map of `grid` = (h, w) cells."""
    is_real = targets.labels >= 0  # [B, K]
    boxes = targets.boxes_xyxy / stride
    sizes = (boxes[..., 2:] - boxes[..., :2]).clamp_min(1e-3)
    cells = ((boxes[..., :2] + boxes[..., 2:]) / 2).floor()
    bumps = _bumps(cells, (sizes * CELL_SHARE / 6).clamp_min(1 / 6), grid)  # [B, K, h, w]
    bumps = bumps * (bumps >= _LEAST_WEIGHT) * is_real[..., None, None]
    shares = bumps / bumps.sum((2, 3), keepdim=True).clamp_min(1e-6)
    areas = area(boxes)[..., None, None].where(bumps > 0, torch.inf)  # [B, K, h, w]
    smallest = areas.argmin(1)  # [B, h, w]
    weights = shares.gather(1, smallest[:, None])[:, 0]
    owners = smallest.flatten(1)[..., None].expand(-1, -1, 4)  # [B, h w, 4]
    owned = targets.boxes_xyxy.gather(1, owners).view(len(boxes), *grid, 4)
    return CellTargets(owned, weights)
