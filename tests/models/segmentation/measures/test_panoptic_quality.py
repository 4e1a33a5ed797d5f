"""Panoptic quality against torchmetrics and COCO's own scorer, and the rules about what is not
known."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchmetrics.detection import PanopticQuality as Reference

from models.data.panoptic import VOID, SegmentTruth
from models.segmentation.measures import PanopticQuality
from tests.panoptic_api import PanopticFile, panoptic_counts

IS_THING = (False, False, True, True, True)
THINGS, STUFF = {2, 3, 4}, {0, 1}
SIZE = (30, 40)


def random_segments(draw: torch.Generator, count: int) -> tuple[Tensor, Tensor]:
    """Rectangles over a floor of stuff: numbers [h, w] and labels [n]."""
    numbers = torch.zeros(SIZE, dtype=torch.int16)
    labels = [int(torch.randint(0, 2, (1,), generator=draw))]
    for _ in range(count):
        x, y = (int(v) for v in torch.randint(0, 25, (2,), generator=draw))
        w, h = (int(v) for v in torch.randint(5, 15, (2,), generator=draw))
        numbers[y : y + h, x : x + w] = len(labels)
        labels.append(int(torch.randint(2, 5, (1,), generator=draw)))
    return numbers, torch.tensor(labels)


def shaken(numbers: Tensor, labels: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """What a finder might say: everything moved a little, one label in six wrong."""
    step = tuple(int(v) for v in torch.randint(-2, 3, (2,), generator=draw))
    wrong = torch.rand(len(labels), generator=draw) < 1 / 6
    other = torch.where(labels < 2, 1 - labels, 2 + (labels - 1) % 3)
    return numbers.roll(step, (0, 1)), torch.where(wrong, other, labels)


def in_their_form(numbers: Tensor, labels: Tensor, void: int) -> Tensor:
    """[1, h, w, 2] of label and instance; stuff has no instances there."""
    known = torch.cat([labels, torch.tensor([void])])[numbers.long()]
    instance = torch.where(known >= 2, numbers.long() + 1, 0)
    return torch.stack([known, instance.where(known != void, 0)], -1)[None]


def test_agrees_with_torchmetrics() -> None:
    draw = torch.Generator().manual_seed(0)
    ours = PanopticQuality.zero(5)
    theirs = Reference(THINGS, STUFF, allow_unknown_preds_category=True, return_sq_and_rq=True)
    per_class = Reference(THINGS, STUFF, allow_unknown_preds_category=True, return_per_class=True)
    void = theirs.void_color[0]
    for _ in range(25):
        numbers, labels = random_segments(draw, 5)
        # What is said leaves nothing out: torchmetrics would excuse it, unlike the authors.
        found, said = shaken(numbers, labels, draw)
        numbers[:, :3] = VOID  # a stripe that nobody knows
        truth = SegmentTruth(numbers, labels, torch.zeros(len(labels), dtype=torch.bool))
        ours.add(truth, found, said)
        arguments = (in_their_form(found, said, void), in_their_form(numbers, labels, void))
        theirs.update(*arguments)
        per_class.update(*arguments)
    figures = ours.figures(IS_THING)
    expected = theirs.compute()
    assert 0.2 < figures["PQ"] < 0.9
    assert [figures[name] for name in ("PQ", "SQ", "RQ")] == pytest.approx(expected.tolist())
    # Theirs come in the order of things, then stuff.
    order = [*sorted(THINGS), *sorted(STUFF)]
    assert ours.per_label()[order, 0].tolist() == pytest.approx(per_class.compute()[0].tolist())
    assert figures["PQ_th"] == pytest.approx(float(ours.per_label()[2:, 0].mean()))
    assert figures["PQ_st"] == pytest.approx(float(ours.per_label()[:2, 0].mean()))


def as_file(numbers: Tensor, labels: Tensor, is_crowd: Tensor) -> PanopticFile:
    """As COCO keeps it: a segment's id, of three digits to the base of 256, is no row."""
    ids = torch.where(numbers == VOID, 0, 70_000 + 300 * numbers.long()).numpy()
    segments = [
        {"id": 70_000 + 300 * row, "category_id": 1 + int(labels[row]), "iscrowd": int(crowd)}
        for row, crowd in enumerate(is_crowd)
        if (numbers == row).any()
    ]
    return PanopticFile.of(ids, segments)


def test_agrees_with_coco_s_own_scorer(tmp_path: Path) -> None:
    """Crowds, and what neither side knows, included."""
    draw = torch.Generator().manual_seed(1)
    ours = PanopticQuality.zero(5)
    truths, answers = [], []
    for _ in range(25):
        numbers, labels = random_segments(draw, 5)
        found, said = shaken(numbers, labels, draw)
        numbers[:, :3] = VOID
        found[:6, :20] = VOID
        # One of them alone: which of two crowds of one label COCO takes hangs on their order.
        is_crowd = torch.arange(len(labels)) == 2
        ours.add(SegmentTruth(numbers, labels, is_crowd), found, said)
        truths.append(as_file(numbers, labels, is_crowd))
        answers.append(as_file(found, said, torch.zeros(len(said), dtype=torch.bool)))
    counts = panoptic_counts(truths, answers, range(1, 6), tmp_path)
    assert (ours.sums.sum(0) > 20).all()
    assert ours.sums.tolist() == [pytest.approx(counts[label + 1]) for label in range(5)]


def one_line(*numbers: int) -> Tensor:
    return torch.tensor([numbers], dtype=torch.int16)


def test_a_crowd_is_neither_missed_nor_wrong_to_find() -> None:
    numbers = one_line(0, 0, 0, 0, 1, 1, 1, 1)
    truth = SegmentTruth(numbers, torch.tensor([2, 2]), torch.tensor([False, True]))
    quality = PanopticQuality.zero(5)
    quality.add(truth, one_line(0, 0, 0, 0, 1, 1, 2, 2), torch.tensor([2, 2, 3]))
    # A match, one that lies in the crowd, and one of another label, which is false.
    assert quality.sums.tolist()[2] == [1, 1, 0, 0]
    assert quality.sums.tolist()[3] == [0, 0, 1, 0]


def test_what_lies_mostly_in_the_unknown_is_excused() -> None:
    truth = SegmentTruth(
        one_line(0, 0, 0, -1, -1, -1), torch.tensor([2]), torch.zeros(1, dtype=torch.bool)
    )
    quality = PanopticQuality.zero(5)
    quality.add(truth, one_line(0, 0, 1, 1, 1, 1), torch.tensor([2, 4]))
    assert quality.sums.tolist()[4] == [0, 0, 0, 0]
    assert quality.sums.tolist()[2] == pytest.approx([2 / 3, 1, 0, 0])
    assert quality.per_label()[0].isnan().all()  # never seen, so not counted


def test_nothing_found_is_all_missed() -> None:
    truth = SegmentTruth(one_line(0, 1), torch.tensor([0, 3]), torch.zeros(2, dtype=torch.bool))
    quality = PanopticQuality.zero(5)
    quality.add(truth, one_line(-1, -1), torch.zeros(0, dtype=torch.int64))
    assert quality.sums[:, 3].tolist() == [1, 0, 0, 1, 0]
    assert quality.figures(IS_THING)["PQ"] == 0
