import numpy as np
import torch

from models.depth.losses import ssim


def ssim_by_loop(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Wang et al. 2004, equation 13, with even windows of 3x3, on one channel."""
    height, width = first.shape
    result = np.empty((height - 2, width - 2))
    for y in range(height - 2):
        for x in range(width - 2):
            a, b = first[y : y + 3, x : x + 3].ravel(), second[y : y + 3, x : x + 3].ravel()
            covariance = np.mean((a - a.mean()) * (b - b.mean()))
            light = (2 * a.mean() * b.mean() + 1e-4) / (a.mean() ** 2 + b.mean() ** 2 + 1e-4)
            rest = (2 * covariance + 9e-4) / (a.var() + b.var() + 9e-4)
            result[y, x] = light * rest
    return result


def test_it_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(2, 3, 6, 8, generator=generator, dtype=torch.float64)
    second = (first + 0.3 * torch.rand(2, 3, 6, 8, generator=generator)).clamp(0, 1)
    ours = ssim(first, second)
    for b in range(2):
        for c in range(3):
            expected = ssim_by_loop(first[b, c].numpy(), second[b, c].numpy())
            np.testing.assert_allclose(ours[b, c].numpy(), expected, atol=1e-9)


def test_a_view_is_like_itself() -> None:
    view = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ssim(view, view), torch.ones(1, 3, 3, 3))
