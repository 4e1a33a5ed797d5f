import pytest
import torch
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.retinanet import RetinaNetHead

from models.backbones import BackboneSpec
from models.detection import Candidates, Targets
from models.detection.boxes import pairwise_iou
from models.detection.retinanet.loss import RetinaNetLoss, RetinaNetLossSpec
from models.detection.retinanet.network import RetinaNet, _rows
from models.detection.retinanet.spec import RetinaNetSpec
from tests.models.detection.test_boxes import random_boxes

TINY = BackboneSpec("resnet10t", {"channels": [8, 8, 8, 8], "stem_width": 8})
LABELS = ("a", "b", "c")
SPEC = RetinaNetSpec(labels=LABELS, backbone=TINY, input_size=(64, 96), channels=16)


def test_candidates_have_the_shape_that_the_spec_implies() -> None:
    images = torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8)
    candidates = RetinaNet(SPEC).eval()(images)
    assert isinstance(candidates, Candidates)
    cells = 8 * 12 + 4 * 6 + 2 * 3 + 1 * 2 + 1 * 1
    assert candidates.boxes_xyxy.shape == (2, 9 * cells, 4)
    assert candidates.scores.shape == (2, 9 * cells, 3)
    assert candidates.scores.max() < 0.02  # the prior of 0.01


def torchvision_head(network: RetinaNet) -> RetinaNetHead:
    """Torchvision's two heads with the weights of ours."""
    head = RetinaNetHead(16, 9, len(LABELS))
    for ours, theirs, last in (
        (network.class_head, head.classification_head, "cls_logits"),
        (network.box_head, head.regression_head, "bbox_reg"),
    ):
        convolutions = [m for m in ours if isinstance(m, torch.nn.Conv2d)]
        blocks = [*(block[0] for block in theirs.conv), getattr(theirs, last)]
        for mine, other in zip(convolutions, blocks, strict=True):
            other.load_state_dict(mine.state_dict())
    return head


def test_heads_answer_in_the_order_of_torchvision() -> None:
    network = RetinaNet(SPEC)
    levels = [torch.randn(2, 16, 8, 12), torch.randn(2, 16, 4, 6)]
    expected = torchvision_head(network)(levels)
    logits = torch.cat([_rows(network.class_head(x), 3) for x in levels], 1)
    codes = torch.cat([_rows(network.box_head(x), 4) for x in levels], 1)
    torch.testing.assert_close(logits, expected["cls_logits"])
    torch.testing.assert_close(codes, expected["bbox_regression"])


def test_losses_agree_with_torchvision() -> None:
    anchors, boxes = random_boxes(200, 0), random_boxes(4, 1)
    labels = torch.tensor([0, 2, 1, 2])
    draw = torch.Generator().manual_seed(2)
    raw = {
        "class_logits": torch.randn(1, 200, 3, generator=draw),
        "box_codes": torch.randn(1, 200, 4, generator=draw),
        "anchors": anchors,
    }
    head = RetinaNetHead(16, 9, 3)
    matched = Matcher(0.5, 0.4, allow_low_quality_matches=True)(pairwise_iou(boxes, anchors))
    expected = head.compute_loss(
        [{"boxes": boxes, "labels": labels}],
        {"cls_logits": raw["class_logits"], "bbox_regression": raw["box_codes"]},
        [anchors],
        [matched],
    )
    padded = Targets(
        torch.cat([boxes, torch.zeros(2, 4)])[None],
        torch.cat([labels, torch.tensor([-1, -1])])[None],
    )
    losses = RetinaNetLoss(SPEC, RetinaNetLossSpec(beta=0.0))(raw, padded)
    torch.testing.assert_close(losses["class"], expected["classification"])
    torch.testing.assert_close(losses["box"], expected["bbox_regression"])


@pytest.mark.parametrize("box", ["smooth_l1", "giou"])
def test_an_image_without_objects_has_a_loss_and_gradients(box: str) -> None:
    network = RetinaNet(SPEC)
    raw = network(torch.zeros(1, 64, 96, 3, dtype=torch.uint8))
    targets = Targets(torch.zeros(1, 2, 4), torch.full((1, 2), -1))
    losses = RetinaNetLoss(SPEC, RetinaNetLossSpec(box=box))(raw, targets)  # type: ignore[arg-type]
    losses["loss"].backward()
    assert losses["box"] == 0 and torch.isfinite(losses["loss"])
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_every_level_needs_its_anchors() -> None:
    with pytest.raises(ValueError, match="3 levels need as many rows"):
        RetinaNetSpec(labels=LABELS, backbone=TINY, extra_levels=0)
