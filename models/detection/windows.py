"""Which part of an image a network sees, and where boxes come to lie in it."""

import torch
from torch import Tensor

from models.detection.boxes import area, clip_to
from models.detection.spec import Fit

# Legend: B images, K places for boxes. A window is a box in pixels of the image; it fills the
# network's input of `size` = (H, W) pixels.


def fit_windows(sizes_px: Tensor, size: tuple[int, int], fit: Fit) -> Tensor:
    """What evaluation sees of images of these (width, height): float [B, 2] -> [B, 4]."""
    image = sizes_px.float()
    if fit == "stretch":
        return torch.cat([torch.zeros_like(image), image], 1)
    target = torch.tensor([size[1], size[0]], dtype=torch.float32)
    scale = (image / target).amax(1, keepdim=True)  # pixels of the image for one of the input
    side = target * scale
    corner = (image - side) / 2
    return torch.cat([corner, corner + side], 1)


def boxes_to_input(boxes_xyxy_px: Tensor, windows_px: Tensor, size: tuple[int, int]) -> Tensor:
    """From pixels of the image to pixels of the input: [B, K, 4], [B, 4] -> [B, K, 4]."""
    corner, scale = _frame(windows_px, size)
    return (boxes_xyxy_px - corner) * scale


def boxes_to_image(boxes_xyxy: Tensor, windows_px: Tensor, size: tuple[int, int]) -> Tensor:
    """From pixels of the input to pixels of the image: [B, K, 4], [B, 4] -> [B, K, 4]."""
    corner, scale = _frame(windows_px, size)
    return boxes_xyxy / scale + corner


def mirror_boxes(boxes_xyxy: Tensor, mirrored: Tensor, size: tuple[int, int]) -> Tensor:
    """Left and right swapped in those images of `mirrored` bool [B]."""
    x1, y1, x2, y2 = boxes_xyxy.unbind(-1)
    flipped = torch.stack([size[1] - x2, y1, size[1] - x1, y2], -1)
    return flipped.where(mirrored[:, None, None], boxes_xyxy)


def keep_visible(
    boxes_xyxy: Tensor,
    labels: Tensor,
    size: tuple[int, int],
    *,
    least_share: float,
    least_side_px: float,
) -> tuple[Tensor, Tensor]:
    """Boxes cut at the borders; those that lost too much, or became too small, are padding."""
    cut = clip_to(boxes_xyxy, size)
    share = area(cut) / area(boxes_xyxy).clamp_min(1e-6)
    sides = (cut[..., 2:] - cut[..., :2]).amin(-1)
    kept = (labels >= 0) & (share >= least_share) & (sides >= least_side_px)
    return cut * kept[..., None], labels.where(kept, -1)


def _frame(windows_px: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The windows' corners, and pixels of the input for one of the image: [B, 1, 4] each."""
    corner, side = windows_px[:, :2], windows_px[:, 2:] - windows_px[:, :2]
    scale = torch.tensor([size[1], size[0]], dtype=torch.float32) / side
    return torch.cat([corner, corner], 1)[:, None], torch.cat([scale, scale], 1)[:, None]
