"""Points at which masks are compared: anywhere, or where the network is least sure."""

import torch
import torch.nn.functional as F
from torch import Tensor

from models.data.panoptic import Segments

# Legend: B batch, K places for segments, P masks, N masks of one image, S points, h w cells.


def sample_logits(masks: Tensor, points: Tensor) -> Tensor:
    """Bilinear, 0 outside: [P, N, h, w] at x y in [0, 1] [P, S, 2] -> [P, N, S]."""
    return F.grid_sample(masks, 2 * points[:, :, None] - 1, align_corners=False)[..., 0]


@torch.no_grad()
def unsure_points(masks: Tensor, count: int, *, oversample: float, unsure_share: float) -> Tensor:
    """Points [P, S, 2] for masks of logits [P, h, w] (Kirillov et al. 2020, PointRend).

    Of `oversample` times as many random points those nearest to a logit of 0 make `unsure_share`
    of the answer; the rest is random.
    """
    tried = torch.rand(len(masks), int(count * oversample), 2, device=masks.device)
    doubt = -sample_logits(masks[:, None], tried)[:, 0].abs()
    unsure = int(count * unsure_share)
    chosen = doubt.topk(unsure, 1).indices[..., None].expand(-1, -1, 2)
    anywhere = torch.rand(len(masks), count - unsure, 2, device=masks.device)
    return torch.cat([tried.gather(1, chosen), anywhere], 1)


def sample_truth(segments: Segments, images: Tensor, places: Tensor, points: Tensor) -> Tensor:
    """True masks at points, as `sample_logits` does for maps of zeros and ones: float [P, S].

    Of the segments `places` [P] in `images` [P], at `points` [P, S, 2].
    """
    height, width = segments.numbers.shape[1:]
    flat = segments.numbers.flatten()
    spots = points * points.new_tensor([width, height]) - 0.5  # the middle of a pixel is whole
    corner = spots.floor()
    part = spots - corner  # [P, S, 2]
    left, top = corner.long().unbind(2)
    first = (images * (height * width))[:, None]
    total = torch.zeros_like(part[..., 0])
    for x, x_weight in ((left, 1 - part[..., 0]), (left + 1, part[..., 0])):
        for y, y_weight in ((top, 1 - part[..., 1]), (top + 1, part[..., 1])):
            inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            found = flat[first + y.clamp(0, height - 1) * width + x.clamp(0, width - 1)]
            total += x_weight * y_weight * (inside & (found == places[:, None]))
    return total


def sample_truths(segments: Segments, points: Tensor) -> Tensor:
    """All masks of each image at the same `points` [B, S, 2]: float [B, K, S]."""
    batch, count = segments.labels.shape
    images = torch.arange(batch, device=points.device).repeat_interleave(count)
    places = torch.arange(count, device=points.device).repeat(batch)
    sampled = sample_truth(segments, images, places, points.repeat_interleave(count, 0))
    return sampled.view(batch, count, -1)
