import itertools

import pytest
import torch
from torchvision.models.detection._utils import Matcher

from models.detection.boxes import pairwise_iou
from models.detection.matching import BACKGROUND, match_by_iou, match_hungarian
from tests.models.detection.test_boxes import random_boxes


@pytest.mark.parametrize("keep_best", [True, False])
@pytest.mark.parametrize(("background", "foreground"), [(0.4, 0.5), (0.3, 0.7), (0.5, 0.5)])
def test_matches_agree_with_torchvision(
    background: float, foreground: float, keep_best: bool
) -> None:
    matcher = Matcher(foreground, background, allow_low_quality_matches=keep_best)
    # Rounded, so that ties occur.
    iou = (pairwise_iou(random_boxes(6, 0), random_boxes(300, 1)) * 20).round() / 20
    iou[:, 0] = 0
    ours = match_by_iou(
        iou[None],
        torch.ones(1, 6, dtype=torch.bool),
        background=background,
        foreground=foreground,
        keep_best=keep_best,
    )
    assert torch.equal(ours[0], matcher(iou))


def test_padding_is_never_matched() -> None:
    iou = torch.tensor([[[0.9, 0.2], [0.95, 0.9]]])
    is_real = torch.tensor([[True, False]])
    matched = match_by_iou(iou, is_real, background=0.4, foreground=0.5)
    assert matched.tolist() == [[0, BACKGROUND]]


def test_an_image_without_boxes_is_all_background() -> None:
    is_real = torch.zeros(1, 2, dtype=torch.bool)
    matched = match_by_iou(torch.zeros(1, 2, 5), is_real, background=0.4, foreground=0.5)
    assert (matched == BACKGROUND).all()


def test_a_box_that_touches_nothing_takes_nothing() -> None:
    is_real = torch.ones(1, 1, dtype=torch.bool)
    matched = match_by_iou(torch.zeros(1, 1, 5), is_real, background=0.4, foreground=0.5)
    assert (matched == BACKGROUND).all()


def test_thresholds_must_rise() -> None:
    with pytest.raises(ValueError, match=r"got 0\.5, 0\.4"):
        match_by_iou(torch.zeros(1, 1, 1), torch.ones(1, 1) > 0, background=0.5, foreground=0.4)


def test_one_to_one_matches_cost_the_least_of_all_permutations() -> None:
    cost = torch.rand(4, 6, 4, generator=torch.Generator().manual_seed(0))
    is_real = torch.tensor([[1, 1, 1, 1], [1, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]).bool()
    for image, (queries, chosen) in enumerate(match_hungarian(cost, is_real)):
        columns = is_real[image].nonzero()[:, 0].tolist()
        assert sorted(chosen.tolist()) == columns
        assert len(set(queries.tolist())) == len(columns)
        least = min(
            sum(float(cost[image, q, c]) for q, c in zip(rows, columns, strict=True))
            for rows in itertools.permutations(range(6), len(columns))
        )
        assert float(cost[image, queries, chosen].sum()) == pytest.approx(least)
