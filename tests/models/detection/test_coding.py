import math

import pytest
import torch
from torchvision.models.detection._utils import BoxCoder

from models.detection.coding import UNWEIGHTED, Weights, decode_boxes, encode_boxes
from tests.models.detection.test_boxes import random_boxes


@pytest.mark.parametrize("weights", [UNWEIGHTED, (10.0, 10.0, 5.0, 5.0)])
def test_codes_agree_with_torchvision(weights: Weights) -> None:
    boxes, references = random_boxes(50, 0), random_boxes(50, 1)
    coder = BoxCoder(weights)
    codes = encode_boxes(boxes, references, weights)
    torch.testing.assert_close(codes, coder.encode_single(boxes, references))
    noise = torch.randn(50, 4, generator=torch.Generator().manual_seed(2)) * 3
    expected = coder.decode_single(noise, references)
    torch.testing.assert_close(decode_boxes(noise, references, weights), expected)


def test_decoding_undoes_encoding() -> None:
    boxes, references = random_boxes(50, 3), random_boxes(50, 4)
    codes = encode_boxes(boxes, references, (2.0, 3.0, 4.0, 5.0))
    decoded = decode_boxes(codes, references, (2.0, 3.0, 4.0, 5.0))
    torch.testing.assert_close(decoded, boxes, rtol=1e-4, atol=1e-4)


def test_a_code_says_shift_in_sizes_and_growth_in_logarithms() -> None:
    reference, box = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[5.0, 0, 25, 20]])
    expected = torch.tensor([[1.0, 0.0, math.log(2), 0.0]])
    torch.testing.assert_close(encode_boxes(box, reference), expected)


def test_sizes_stay_finite_whatever_is_predicted() -> None:
    boxes = decode_boxes(torch.full((1, 4), 1e4), torch.tensor([[0.0, 0, 16, 16]]))
    assert (boxes[0, 2] - boxes[0, 0]).item() == pytest.approx(1000)
