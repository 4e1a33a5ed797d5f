"""Monodepth's loss: both views, rebuilt from each other by disparities that agree.

With d = x_left - x_right >= 0 a point at x of the left view is at x - d_L(x) of the right one, and
one at x of the right view at x + d_R(x) of the left one. (Godard et al. 2017 print the signs of
their code's coordinates; these are derived from the definition.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.depth.losses.appearance import appearance
from models.depth.losses.smoothness import smoothness
from models.geometry import shift_columns

# Legend: B batch, H W pixels of the input, h w pixels at a scale.


@dataclass(frozen=True)
class MonodepthLossSpec:
    """`smoothness` is divided by each scale's reduction. What a view shows beyond the other one's
    border cannot be rebuilt: its appearance counts only with `count_outside`, as in the paper."""

    alpha: float = 0.85
    smoothness: float = 0.1
    left_right: float = 1.0
    count_outside: bool = False


class MonodepthLoss:
    """Appearance, smoothness and left-right consistency, summed over scales, means over pixels."""

    def __init__(self, spec: MonodepthLossSpec) -> None:
        self.spec = spec

    def __call__(
        self, disparities: Sequence[Tensor], left: Tensor, right: Tensor
    ) -> dict[str, Tensor]:
        """`disparities` [B, 2, h, w], left and right as fractions of the width, finest first;
        the views uint8 [B, H, W, 3]."""
        finest = disparities[0].shape[2:]
        views = [_planes(left, finest), _planes(right, finest)]
        terms: list[tuple[Tensor, Tensor, Tensor]] = []
        for scale, both in enumerate(disparities):
            if scale:
                views = [F.avg_pool2d(view, 2) for view in views]
            terms.append(self._at_scale(both.float(), views, 2**scale))
        figures = [torch.stack(column).sum() for column in zip(*terms, strict=True)]
        named = dict(zip(("appearance", "smoothness", "left_right"), figures, strict=True))
        return {"loss": torch.stack(figures).sum(), **named}

    def _at_scale(
        self, both: Tensor, views: list[Tensor], reduction: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        left, right = views
        d_left, d_right = both[:, :1], both[:, 1:]  # [B, 1, h, w], fractions
        width = both.shape[3]
        shift_left, shift_right = -width * d_left[:, 0], width * d_right[:, 0]
        # What is sampled travels together: the other view, and its disparity.
        from_right = shift_columns(torch.cat([right, d_right], 1), shift_left)
        from_left = shift_columns(torch.cat([left, d_left], 1), shift_right)
        seen_left, seen_right = self._seen(shift_left), self._seen(shift_right)
        spec = self.spec
        looks = appearance(from_right[:, :3], left, seen_left, alpha=spec.alpha) + appearance(
            from_left[:, :3], right, seen_right, alpha=spec.alpha
        )
        smooth = smoothness(d_left, left) + smoothness(d_right, right)
        # Beyond the border too, where it alone keeps disparities from running away.
        agree = (d_left - from_right[:, 3:]).abs().mean() + (
            d_right - from_left[:, 3:]
        ).abs().mean()
        return looks, spec.smoothness / reduction * smooth, spec.left_right * agree

    def _seen(self, shift_px: Tensor) -> Tensor | None:
        """Which pixels the other view shows too: bool [B, 1, h, w]."""
        if self.spec.count_outside:
            return None
        width = shift_px.shape[2]
        x_px = torch.arange(width, device=shift_px.device) + 0.5 + shift_px.detach()
        return ((x_px >= 0) & (x_px <= width))[:, None]


def _planes(view: Tensor, size: tuple[int, ...]) -> Tensor:
    """uint8 [B, H, W, 3] -> float [B, 3, h, w] in [0, 1], averaged down."""
    planes = view.permute(0, 3, 1, 2).float().contiguous() / 255
    reduction = planes.shape[3] // size[1]
    return planes if reduction == 1 else F.avg_pool2d(planes, reduction)
