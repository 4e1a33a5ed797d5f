"""Boxes around what can be seen of each object."""

from dataclasses import dataclass

import torch
from torch import Tensor

# An object that shows less than 30 pixels of 128 x 128 has no box, and no caption names it.
_LEAST_SHARE = 30 / 128**2


@dataclass(frozen=True)
class Boxes:
    """The visible objects of each scene in order of their ids, then K - count rows of padding."""

    xyxy_px: Tensor  # [B, K, 4] float32, pixel edges: 0 0 W H is the whole image; zero where padded
    instance: (
        Tensor  # [B, K] int64, the object's id in the instance image, 1 + k; zero where padded
    )
    count: Tensor  # [B] int64

    def look_up(self, attribute: Tensor) -> Tensor:
        """An attribute of the objects [B, K] for each box, -1 where padded."""
        found = attribute.gather(1, (self.instance - 1).clamp_min(0))
        return found.where(self.instance > 0, -1)


def least_visible_px(size_px: int) -> int:
    """How many pixels of an object must be seen for it to count, at least four."""
    return max(4, round(_LEAST_SHARE * size_px**2))


def visible_boxes(instances: Tensor, objects: int) -> Boxes:
    """The tight boxes of the instance ids 1..objects in images [B, H, W] uint8."""
    ids = torch.arange(1, objects + 1, device=instances.device, dtype=instances.dtype)
    masks = instances[:, None] == ids[:, None, None]  # [B, K, H, W]
    visible = masks.sum((2, 3)) >= least_visible_px(instances.shape[-1])  # [B, K]
    left, right = _extent(masks.any(2))
    top, bottom = _extent(masks.any(3))
    xyxy = torch.stack([left, top, right, bottom], dim=-1).to(torch.float32)  # [B, K, 4]
    order = (~visible).to(torch.uint8).argsort(dim=1, stable=True)
    kept = visible.gather(1, order)
    xyxy = xyxy.gather(1, order[..., None].expand_as(xyxy)) * kept[..., None]
    return Boxes(xyxy, (order + 1) * kept, visible.sum(1))


def _extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """The first true along the last axis, and one past the last."""
    marks = occupied.to(torch.uint8)
    return marks.argmax(-1), marks.shape[-1] - marks.flip(-1).argmax(-1)
