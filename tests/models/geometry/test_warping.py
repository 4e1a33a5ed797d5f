import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from models.geometry import sample_at, shift_columns

GENERATOR = torch.Generator().manual_seed(0)
SOURCE = torch.rand(2, 3, 7, 9, generator=GENERATOR)
# OpenCV interpolates at 32nds of a pixel.
X_PX = (torch.rand(2, 5, 6, generator=GENERATOR) * 13 * 32 - 64).round() / 32
Y_PX = (torch.rand(2, 5, 6, generator=GENERATOR) * 11 * 32 - 64).round() / 32


@pytest.mark.parametrize(
    ("outside", "border"), [("border", cv2.BORDER_REPLICATE), ("zeros", cv2.BORDER_CONSTANT)]
)
def test_places_are_sampled_as_by_opencv(outside: str, border: int) -> None:
    ours = sample_at(SOURCE, X_PX, Y_PX, outside=outside)  # type: ignore[arg-type]
    for i in range(2):
        image = SOURCE[i].permute(1, 2, 0).contiguous().numpy()
        x, y = X_PX[i].numpy() - 0.5, Y_PX[i].numpy() - 0.5
        expected = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=border)
        np.testing.assert_allclose(ours[i].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def shifted_by_loop(source: Tensor, shift: Tensor) -> Tensor:
    """The definition, pixel by pixel, the border repeated."""
    batch, _, height, width = source.shape
    result = torch.empty_like(source)
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                place = min(max(x + float(shift[b, y, x]), 0), width - 1)
                low = math.floor(place)
                high, part = min(low + 1, width - 1), place - low
                result[b, :, y, x] = (1 - part) * source[b, :, y, low]
                result[b, :, y, x] += part * source[b, :, y, high]
    return result


def test_columns_are_shifted_as_defined() -> None:
    shift = torch.randn(2, 7, 9, generator=GENERATOR) * 4
    torch.testing.assert_close(shift_columns(SOURCE, shift), shifted_by_loop(SOURCE, shift))


def test_no_shift_changes_nothing() -> None:
    torch.testing.assert_close(shift_columns(SOURCE, torch.zeros(2, 7, 9)), SOURCE)


def test_the_gradient_reaches_the_shift() -> None:
    shift = (torch.rand(1, 4, 5, generator=GENERATOR).double() * 0.8 + 0.1).requires_grad_()
    source = torch.rand(1, 2, 4, 5, generator=GENERATOR).double()
    assert torch.autograd.gradcheck(lambda s: shift_columns(source, s), shift)
