import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from models.data.panoptic import SegmentTruth
from models.segmentation.measures import MeanIoU


def test_agrees_with_torchmetrics() -> None:
    draw = torch.Generator().manual_seed(0)
    ours = MeanIoU.zero(4)
    theirs = MulticlassJaccardIndex(4, average="none", ignore_index=-1)
    for _ in range(5):
        numbers = torch.randint(-1, 6, (9, 11), generator=draw).to(torch.int16)
        labels = torch.randint(0, 4, (6,), generator=draw)
        real = torch.cat([labels, torch.tensor([-1])])[numbers.long()]
        noise = torch.randint(0, 4, real.shape, generator=draw)
        given = torch.where(
            (torch.rand(real.shape, generator=draw) < 0.7) & (real >= 0), real, noise
        )
        ours.add(SegmentTruth(numbers, labels, torch.zeros(6, dtype=torch.bool)), given)
        theirs.update(given[None], real[None])
    assert ours.per_label().tolist() == pytest.approx(theirs.compute().tolist(), rel=1e-5)
    figures = ours.figures()
    assert 0.3 < figures["mIoU"] < figures["pixel_accuracy"] < 0.9


def test_a_label_that_never_occurs_is_left_out() -> None:
    measure = MeanIoU.zero(3)
    numbers = torch.zeros(2, 4, dtype=torch.int16)
    truth = SegmentTruth(numbers, torch.tensor([1]), torch.zeros(1, dtype=torch.bool))
    measure.add(truth, torch.tensor([[1, 1, 1, 1], [1, 1, 2, 2]]))
    assert measure.per_label()[0].isnan()
    assert measure.figures() == {"mIoU": pytest.approx((0.75 + 0) / 2), "pixel_accuracy": 0.75}
