"""RoIAlign on a pyramid: a region of any size becomes a small map of fixed size."""

import math
from functools import partial

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

    In an exported graph every map pools every region and the level's own is taken, since shapes
    must depend on no value: that costs as many times RoIAlign as there are levels.
    """
    batch, regions = boxes_xyxy.shape[:2]
    image = torch.arange(batch, device=boxes_xyxy.device, dtype=boxes_xyxy.dtype)
    rows = torch.cat([image[:, None, None].expand(-1, regions, 1), boxes_xyxy], 2).flatten(0, 1)
    own = assign_levels(boxes_xyxy, strides, canonical_px=canonical_px).flatten()  # [B R]
    pooled = rows.new_zeros(1, levels[0].shape[1], cells, cells).expand(rows.shape[0], -1, -1, -1)
    for index, (level, stride) in enumerate(zip(levels, strides, strict=True)):
        pool = partial(
            roi_align,
            level.to(rows.dtype),  # in half precision coordinates would be off by pixels
            output_size=cells,
            spatial_scale=1 / stride,
            sampling_ratio=samples,
            aligned=half_pixel,
        )  # [n, 5] -> [n, D, S, S]
        is_own = own == index
        if torch.compiler.is_exporting():
            pooled = torch.where(is_own[:, None, None, None], pool(boxes=rows), pooled)
        else:
            places = is_own.nonzero()[:, 0]
            pooled = pooled.index_copy(0, places, pool(boxes=rows[places]))
    return pooled.reshape(-1, regions, *pooled.shape[1:])
