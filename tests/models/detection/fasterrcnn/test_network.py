import dataclasses

import pytest
import torch

from models.backbones import BackboneSpec
from models.detection import Candidates, Targets
from models.detection.fasterrcnn.loss import FasterRCNNLoss, FasterRCNNLossSpec
from models.detection.fasterrcnn.network import FasterRCNN
from models.detection.fasterrcnn.spec import FasterRCNNSpec

SPEC = FasterRCNNSpec(
    labels=("a", "b", "c"),
    backbone=BackboneSpec("resnet10t", {"channels": [8, 8, 8, 8], "stem_width": 8}),
    input_size=(64, 96),
    channels=16,
    anchor_sizes_px=((8,), (12,), (24,), (48,), (64,)),
    proposals_before_nms=40,
    proposals=30,
    head_width=32,
    candidates=50,
    sampled_regions=16,
)


def images(batch: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, *SPEC.input_size, 3), dtype=torch.uint8, generator=draw)


def lively_network() -> FasterRCNN:
    """Random weights that tell regions and classes apart."""
    torch.manual_seed(0)
    network = FasterRCNN(SPEC)
    for layer in (network.proposal_head.objectness, network.proposal_head.codes):
        torch.nn.init.normal_(layer.weight, std=0.1)
    for layer in (network.box_head.classes, network.box_head.codes):
        torch.nn.init.normal_(layer.weight, std=0.5)
    return network.eval()


@torch.no_grad()
def test_candidates_have_the_shape_that_the_spec_implies() -> None:
    found = lively_network()(images(2))
    assert isinstance(found, Candidates)
    assert found.boxes_xyxy.shape == (2, 50, 4) and found.scores.shape == (2, 50, 3)


@torch.no_grad()
def test_a_candidate_stands_for_one_class_and_lies_inside() -> None:
    boxes, scores = lively_network()(images(2))
    assert ((scores > 0).sum(-1) <= 1).all()
    best = scores.amax(-1)
    assert torch.equal(best, best.sort(1, descending=True).values)
    height, width = SPEC.input_size
    assert boxes.amin() >= 0 and boxes[..., 0::2].amax() <= width
    assert boxes[..., 1::2].amax() <= height


@torch.no_grad()
def test_classes_without_a_label_are_never_answered() -> None:
    network = FasterRCNN(dataclasses.replace(SPEC, unnamed_classes=2)).eval()
    assert network.box_head.classes.out_features == 3 + 2 + 1
    torch.nn.init.zeros_(network.box_head.classes.weight)
    _, scores = network(images(1))
    torch.testing.assert_close(scores.amax(), torch.tensor(1 / 6))


def test_training_needs_the_true_boxes() -> None:
    with pytest.raises(ValueError, match="give targets"):
        FasterRCNN(SPEC)(images(1))


def test_an_image_without_objects_has_a_loss_and_gradients() -> None:
    network = FasterRCNN(SPEC)
    targets = Targets(torch.zeros(2, 2, 4), torch.full((2, 2), -1))
    losses = FasterRCNNLoss(SPEC, FasterRCNNLossSpec())(network(images(2), targets), targets)
    losses["loss"].backward()
    assert losses["box"] == 0 and losses["proposal"] == 0
    assert torch.isfinite(losses["loss"])
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_true_boxes_are_among_the_sampled_regions() -> None:
    boxes = torch.tensor([[[8.0, 8.0, 40.0, 40.0], [50.0, 20.0, 90.0, 60.0]]])
    targets = Targets(boxes, torch.tensor([[2, 0]]))
    raw = FasterRCNN(SPEC)(images(1), targets)
    regions, labels = raw["regions"][0], raw["region_labels"][0]
    for box, label in zip(boxes[0], (2, 0), strict=True):
        (place,) = (regions == box).all(-1).nonzero()[:, 0].tolist()
        assert labels[place] == label and torch.equal(raw["region_truths"][0, place], box)
    assert int((labels == SPEC.background).sum()) >= 10


def test_every_level_needs_its_anchors() -> None:
    with pytest.raises(ValueError, match="5 levels need as many rows"):
        dataclasses.replace(SPEC, anchor_sizes_px=((8,),))
    with pytest.raises(ValueError, match="twice the one before"):
        dataclasses.replace(SPEC, strides=(4, 16, 32, 64))
