"""RoIAlign on a pyramid: a region of any size becomes a small map of fixed size."""

import math

import torch
from torch import Tensor
from torchvision.ops import roi_align

from models.detection.boxes import area

# Legend: B batch, R regions of a sample, D channels, S cells of a pooled side.

#: The map of this stride takes the regions of canonical size: level 4 in Lin et al. 2017.
CANONICAL_STRIDE = 16


def assign_levels(
    boxes_xyxy: Tensor, strides: tuple[int, ...], *, canonical_px: float = 224.0
) -> Tensor:
    """The index in `strides` of the map that a box is pooled from: [..., 4] -> int64 [...].

    Equation 1 of the paper, k = floor(4 + log2(sqrt(w h) / 224)), cut to the levels there are.
    """
    first = math.log2(strides[0])
    # The small term keeps a box of exactly the canonical size on its level.
    ratio = torch.log2(area(boxes_xyxy).sqrt() / canonical_px) + 1e-6
    level = (math.log2(CANONICAL_STRIDE) + ratio).floor() - first
    return level.clamp(0, len(strides) - 1).to(torch.int64)


def pool_regions(
    levels: list[Tensor],
    boxes_xyxy: Tensor,
    *,
    strides: tuple[int, ...],
    canonical_px: float = 224.0,
    cells: int = 7,
    samples: int = 2,
    half_pixel: bool = True,
) -> Tensor:
    """Maps [B, D, h, w] of `strides` and boxes [B, R, 4] in pixels -> [B, R, D, S, S].

    Every map pools every region and the level's own is taken: shapes depend on no value, so it
    exports, and costs as many times RoIAlign as there are levels.
    """
    batch, regions = boxes_xyxy.shape[:2]
    image = torch.arange(batch, device=boxes_xyxy.device, dtype=boxes_xyxy.dtype)
    rows = torch.cat([image[:, None, None].expand(-1, regions, 1), boxes_xyxy], 2).flatten(0, 1)
    own = assign_levels(boxes_xyxy, strides, canonical_px=canonical_px).flatten()  # [B R]
    pooled = torch.zeros((), dtype=levels[0].dtype, device=levels[0].device)
    for index, (level, stride) in enumerate(zip(levels, strides, strict=True)):
        found = roi_align(
            level,
            rows.to(level.dtype),
            cells,
            spatial_scale=1 / stride,
            sampling_ratio=samples,
            aligned=half_pixel,
        )  # [B R, D, S, S]
        pooled = torch.where((own == index)[:, None, None, None], found, pooled)
    return pooled.reshape(-1, regions, *pooled.shape[1:])
