"""How different a rebuilt view is from the real one."""

from torch import Tensor

from models.depth.losses.ssim import ssim


def appearance(
    rebuilt: Tensor, real: Tensor, counted: Tensor | None = None, *, alpha: float = 0.85
) -> Tensor:
    """alpha (1 - SSIM) / 2 + (1 - alpha) |difference|, a scalar (Godard et al. 2017, equation 2).

    Views [B, 3, H, W] in [0, 1]; of `counted` bool [B, 1, H, W] only the pixels that are set count,
    for SSIM those whose window has its middle there.
    """
    unlike = ((1 - ssim(rebuilt, real)) / 2).clamp(0, 1).mean(1, keepdim=True)
    distance = (rebuilt - real).abs().mean(1, keepdim=True)
    if counted is None:
        return alpha * unlike.mean() + (1 - alpha) * distance.mean()
    inner, outer = counted[:, :, 1:-1, 1:-1].to(unlike.dtype), counted.to(unlike.dtype)
    structure = (unlike * inner).sum() / inner.sum().clamp_min(1)
    return alpha * structure + (1 - alpha) * (distance * outer).sum() / outer.sum().clamp_min(1)
