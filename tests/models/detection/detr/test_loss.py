"""The matching and the losses against those of transformers."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from transformers.loss.loss_for_object_detection import (
    ForObjectDetectionLoss,
    HungarianMatcher,
)

from models.backbones import BackboneSpec
from models.detection import Targets
from models.detection.boxes import cxcywh_to_xyxy
from models.detection.detr.loss import DETRLoss, DETRLossSpec, matching_cost
from models.detection.detr.spec import DETRSpec
from models.detection.matching import match_hungarian

SPEC = DETRSpec(labels=("a", "b", "c"), backbone=BackboneSpec("resnet10t"))
LAYERS, BATCH, QUERIES = 3, 4, 12
SIDES = torch.tensor([96.0, 64.0])
COUNTS = (3, 0, 5, 1)


@pytest.fixture
def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def random_centred(*shape: int, draw: torch.Generator) -> Tensor:
    """Boxes cxcywh in [0, 1], of one size and another."""
    centre = torch.rand(*shape, 2, generator=draw) * 0.6 + 0.2
    return torch.cat([centre, torch.rand(*shape, 2, generator=draw) * 0.35 + 0.03], -1)


def outputs(draw: torch.Generator) -> dict[str, Tensor]:
    return {
        "class_logits": torch.randn(LAYERS, BATCH, QUERIES, 4, generator=draw) * 2,
        "boxes_cxcywh": random_centred(LAYERS, BATCH, QUERIES, draw=draw),
        "size_px": SIDES,
    }


def truths(draw: torch.Generator) -> tuple[Targets, list[dict[str, Tensor]]]:
    """The same boxes in our form and in that of transformers."""
    boxes, labels = torch.zeros(BATCH, 6, 4), torch.full((BATCH, 6), -1)
    theirs = []
    for image, count in enumerate(COUNTS):
        centred = random_centred(count, draw=draw)
        names = torch.randint(0, 3, (count,), generator=draw)
        boxes[image, :count] = cxcywh_to_xyxy(centred) * SIDES.repeat(2)
        labels[image, :count] = names
        theirs.append({"boxes": centred, "class_labels": names})
    return Targets(boxes, labels), theirs


def test_matches_as_transformers_does(draw: torch.Generator) -> None:
    raw, (targets, theirs) = outputs(draw), truths(draw)
    logits, boxes = raw["class_logits"][-1], raw["boxes_cxcywh"][-1]
    matcher = HungarianMatcher(class_cost=1, bbox_cost=5, giou_cost=2)
    expected = matcher({"logits": logits, "pred_boxes": boxes}, theirs)
    centred = torch.stack(
        [torch.cat([t["boxes"], torch.zeros(6 - len(t["boxes"]), 4)]) for t in theirs]
    )
    cost = matching_cost(logits, boxes, centred, targets.labels.clamp_min(0), DETRLossSpec())
    found = match_hungarian(cost, targets.labels >= 0)
    for ours, other in zip(found, expected, strict=True):
        assert [side.tolist() for side in ours] == [side.tolist() for side in other]


def test_losses_agree_with_transformers(draw: torch.Generator) -> None:
    raw, (targets, theirs) = outputs(draw), truths(draw)
    config = SimpleNamespace(
        class_cost=1,
        bbox_cost=5,
        giou_cost=2,
        num_labels=3,
        eos_coefficient=0.1,
        bbox_loss_coefficient=5,
        giou_loss_coefficient=2,
        auxiliary_loss=True,
        decoder_layers=LAYERS,
    )
    logits, boxes = raw["class_logits"], raw["boxes_cxcywh"]
    total, parts, _ = ForObjectDetectionLoss(
        logits[-1], theirs, "cpu", boxes[-1], config, logits, boxes
    )
    found = DETRLoss(SPEC, DETRLossSpec())(raw, targets)
    torch.testing.assert_close(found["class"], parts["loss_ce"])
    torch.testing.assert_close(found["l1"], parts["loss_bbox"])
    torch.testing.assert_close(found["giou"], parts["loss_giou"])
    torch.testing.assert_close(found["loss"], total)


def test_a_batch_without_objects_teaches_that_there_are_none(draw: torch.Generator) -> None:
    raw = {name: value.requires_grad_() for name, value in outputs(draw).items()}
    targets = Targets(torch.zeros(BATCH, 2, 4), torch.full((BATCH, 2), -1))
    losses = DETRLoss(SPEC, DETRLossSpec())(raw, targets)
    losses["loss"].backward()
    assert losses["l1"] == 0 and losses["giou"] == 0
    gradient = raw["class_logits"].grad
    assert gradient is not None
    assert (gradient[..., SPEC.background] < 0).all(), "no query was pushed towards background"
