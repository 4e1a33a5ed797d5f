"""The four losses against torchvision's, with everything sampled."""

import torch
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork

from models.backbones import BackboneSpec
from models.detection import Targets
from models.detection.coding import encode_boxes
from models.detection.fasterrcnn.loss import FasterRCNNLoss, FasterRCNNLossSpec
from models.detection.fasterrcnn.spec import FasterRCNNSpec
from tests.models.detection.test_boxes import random_boxes

SPEC = FasterRCNNSpec(labels=("a", "b", "c"), backbone=BackboneSpec("resnet10t"))
ANCHORS, REGIONS = 300, 40
TARGETS = Targets(
    torch.cat([random_boxes(4, 1), torch.zeros(2, 4)])[None], torch.tensor([[0, 2, 1, 2, -1, -1]])
)


def raw_outputs() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    return {
        "objectness": torch.randn(1, ANCHORS, generator=draw),
        "anchor_codes": torch.randn(1, ANCHORS, 4, generator=draw),
        "anchors": torch.cat([random_boxes(ANCHORS - 2, 0), TARGETS.boxes_xyxy[0, :2] + 1]),
        "class_logits": torch.randn(1, REGIONS, 4, generator=draw),
        "box_codes": torch.randn(1, REGIONS, 3, 4, generator=draw),
        "regions": random_boxes(REGIONS, 4)[None],
        "region_truths": random_boxes(REGIONS, 5)[None],
        "region_labels": torch.randint(0, 4, (1, REGIONS), generator=draw),
        "is_real": torch.ones(1, REGIONS, dtype=torch.bool),
    }


def losses(raw: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    all_of_them = FasterRCNNLossSpec(sampled_anchors=2 * ANCHORS)
    return FasterRCNNLoss(SPEC, all_of_them)(raw, TARGETS)


def test_proposal_losses_agree_with_torchvision() -> None:
    raw = raw_outputs()
    counts = ({"training": 1, "testing": 1},) * 2
    network = RegionProposalNetwork(
        torch.nn.Identity(), torch.nn.Identity(), 0.7, 0.3, 2 * ANCHORS, 0.5, *counts, 0.7
    )
    anchors = [raw["anchors"]]
    labels, matched = network.assign_targets_to_anchors(
        anchors, [{"boxes": TARGETS.boxes_xyxy[0, :4]}]
    )
    assert 4 <= int((labels[0] == 1).sum()) < 30 < int((labels[0] == 0).sum())
    wanted = network.box_coder.encode(matched, anchors)
    objectness, proposal = network.compute_loss(
        raw["objectness"][0, :, None], raw["anchor_codes"][0], labels, wanted
    )
    found = losses(raw)
    torch.testing.assert_close(found["objectness"], objectness)
    torch.testing.assert_close(found["proposal"], proposal)


def test_region_losses_agree_with_torchvision() -> None:
    raw = raw_outputs()
    # Torchvision's background is class 0, with codes that nobody reads.
    labels = (raw["region_labels"][0] + 1) % 4
    logits = raw["class_logits"][0].roll(1, dims=1)
    codes = torch.cat([torch.zeros(REGIONS, 4), raw["box_codes"][0].flatten(1)], 1)
    wanted = encode_boxes(raw["region_truths"][0], raw["regions"][0], SPEC.box_weights)
    class_, box = fastrcnn_loss(logits, codes, [labels], [wanted])
    found = losses(raw)
    torch.testing.assert_close(found["class"], class_)
    torch.testing.assert_close(found["box"], box)
    parts = ("objectness", "proposal", "class", "box")
    torch.testing.assert_close(found["loss"], torch.stack([found[p] for p in parts]).sum())


def test_regions_that_only_pad_do_not_count() -> None:
    raw = raw_outputs()
    padded = {
        **raw,
        **{
            name: torch.cat([raw[name], raw[name].flip(1)], 1)
            for name in ("class_logits", "box_codes", "regions", "region_truths", "region_labels")
        },
        "is_real": torch.cat([raw["is_real"], ~raw["is_real"]], 1),
    }
    for name in ("class", "box"):
        torch.testing.assert_close(losses(raw)[name], losses(padded)[name])
