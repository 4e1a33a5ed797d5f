"""The matching and the losses against those of transformers."""

import pytest
import torch
from torch import Tensor
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import (
    Mask2FormerLoss,
    pair_wise_dice_loss,
    pair_wise_sigmoid_cross_entropy_loss,
)

from models.data.panoptic import VOID, Segments
from models.segmentation.decoder import Answer
from models.segmentation.loss import (
    SegmentationLoss,
    SegmentationLossSpec,
    pairwise_cross_entropy,
    pairwise_dice,
)
from tests.models.segmentation.squares import IS_THING, tiny_spec

LAYERS, BATCH, QUERIES, POINTS = 3, 3, 8, 200
COUNTS = (4, 1, 3)


def truths(draw: torch.Generator) -> tuple[Segments, list[Tensor], list[Tensor]]:
    """The same segments as a map, and as masks and labels of each image."""
    numbers = torch.full((BATCH, 24, 32), VOID, dtype=torch.int16)
    labels = torch.full((BATCH, 5), -1)
    masks, names = [], []
    for image, count in enumerate(COUNTS):
        for place in range(count):
            numbers[image, place * 6 : place * 6 + 5, place : 20 + place] = place
        labels[image, :count] = torch.randint(0, len(IS_THING), (count,), generator=draw)
        masks.append((numbers[image][None] == torch.arange(count)[:, None, None]).float())
        names.append(labels[image, :count])
    return Segments(numbers, labels), masks, names


def fixed_rand(*size: int, **_: object) -> Tensor:
    """Points that depend on their number alone, so that both sides compare the same ones."""
    draw = torch.Generator().manual_seed(size[-2])
    row = torch.empty(size[-2:]).uniform_(generator=draw)
    return row.expand(*size).clone()


def test_losses_of_all_layers_are_those_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.Generator().manual_seed(0)
    answers = [
        Answer(
            torch.randn(BATCH, QUERIES, 5, generator=draw) * 2,
            torch.randn(BATCH, QUERIES, 6, 8, generator=draw) * 3,
        )
        for _ in range(LAYERS)
    ]
    segments, masks, names = truths(draw)
    monkeypatch.setattr(torch, "rand", fixed_rand)
    ours = SegmentationLoss(tiny_spec(), SegmentationLossSpec(points=POINTS))(answers, segments)
    config = Mask2FormerConfig(train_num_points=POINTS, num_labels=4)
    reference = Mask2FormerLoss(config, {})
    auxiliary = [
        {"class_queries_logits": a.class_logits, "masks_queries_logits": a.mask_logits}
        for a in answers
    ]
    last = auxiliary.pop()
    theirs = reference(
        **last, mask_labels=masks, class_labels=names, auxiliary_predictions=auxiliary
    )
    for name, their in (("class", "cross_entropy"), ("mask", "mask"), ("dice", "dice")):
        torch.testing.assert_close(ours[name], theirs[f"loss_{their}"])
    weights = {"cross_entropy": 2.0, "mask": 5.0, "dice": 5.0}
    expected = sum(
        value * weight
        for key, value in theirs.items()
        for name, weight in weights.items()
        if name in key
    )
    torch.testing.assert_close(ours["loss"], expected)


def test_pairs_cost_what_transformers_says() -> None:
    logits = torch.randn(1, 7, 300)
    truth = (torch.rand(1, 4, 300) < 0.3).float()
    expected = pair_wise_sigmoid_cross_entropy_loss(logits[0], truth[0])
    torch.testing.assert_close(pairwise_cross_entropy(logits, truth)[0], expected)
    torch.testing.assert_close(
        pairwise_dice(logits, truth)[0], pair_wise_dice_loss(logits[0], truth[0])
    )


def test_images_without_segments_teach_that_nothing_is_there() -> None:
    segments = Segments(torch.full((2, 8, 8), VOID, dtype=torch.int16), torch.full((2, 1), -1))
    classes = torch.zeros(2, QUERIES, 5, requires_grad=True)
    masks = torch.zeros(2, QUERIES, 4, 4, requires_grad=True)
    loss = SegmentationLoss(tiny_spec(), SegmentationLossSpec(points=16))
    losses = loss([Answer(classes, masks)], segments)
    assert losses["mask"] == losses["dice"] == 0
    losses["loss"].backward()
    assert classes.grad is not None
    assert (classes.grad[..., 4] < 0).all() and (classes.grad[..., :4] > 0).all()
