"""Points and what masks say there, against grid_sample and transformers."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.models.mask2former.modeling_mask2former import sample_point

from models.data.panoptic import VOID, Segments
from models.segmentation.points import sample_logits, sample_truth, sample_truths, unsure_points


@pytest.fixture
def segments() -> Segments:
    draw = torch.Generator().manual_seed(0)
    numbers = torch.randint(VOID, 4, (3, 9, 13), generator=draw).to(torch.int16)
    return Segments(numbers, torch.tensor([[0, 1, 2, 3], [1, 1, 1, -1], [2, 0, 0, 1]]))


def as_masks(segments: Segments) -> Tensor:
    """[B, K, H, W] of zeros and ones."""
    places = torch.arange(segments.labels.shape[1])
    return (segments.numbers[:, None] == places[:, None, None]).float()


def test_truth_is_read_as_from_images_of_zeros_and_ones(segments: Segments) -> None:
    points = torch.rand(3, 400, 2) * 1.1 - 0.05  # some outside
    expected = sample_point(as_masks(segments), points, align_corners=False)
    torch.testing.assert_close(sample_truths(segments, points), expected)
    images, places = torch.tensor([2, 0, 2, 1]), torch.tensor([3, 0, 1, 2])
    own = torch.rand(4, 50, 2)
    masks = as_masks(segments)[images, places][:, None]
    expected = sample_point(masks, own, align_corners=False)[:, 0]
    torch.testing.assert_close(sample_truth(segments, images, places, own), expected)


def test_logits_are_read_as_transformers_reads_them() -> None:
    masks, points = torch.randn(3, 5, 6, 7), torch.rand(3, 40, 2)
    expected = sample_point(masks, points, align_corners=False)
    torch.testing.assert_close(sample_logits(masks, points), expected)


def test_most_points_lie_where_the_mask_is_unsure() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(-10, 10, 64).expand(2, 64, 64)  # 0 in the middle column
    points = unsure_points(ramp, 400, oversample=3.0, unsure_share=0.75)
    assert points.shape == (2, 400, 2) and points.min() >= 0 and points.max() <= 1
    away = (points[..., 0] - 0.5).abs()
    # Of 1200 even points the 300 next to the middle lie within an eighth of the width, but for
    # those at the border, beyond which there is 0.
    assert (away[:, :300] < 0.15).float().mean() > 0.98
    assert away[:, 300:].max() > 0.4
    everywhere = unsure_points(ramp, 400, oversample=1.0, unsure_share=0.0)
    assert F.l1_loss(everywhere[..., 0], torch.full_like(everywhere[..., 0], 0.5)) > 0.2
