"""Proposals against torchvision's region proposal network."""

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from models.backbones import BackboneSpec
from models.detection.fasterrcnn.proposals import LevelAnchors, ProposalHead, select_proposals
from models.detection.fasterrcnn.spec import FasterRCNNSpec

SIZE = (64, 96)
SIZES_PX = ((8.0,), (16.0,), (32.0,), (48.0,), (64.0,))
SPEC = FasterRCNNSpec(
    labels=("a",),
    backbone=BackboneSpec("resnet10t"),
    input_size=SIZE,
    channels=12,
    anchor_sizes_px=SIZES_PX,
    proposals_before_nms=80,
    proposals=250,
)


def levels() -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    grids = [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]
    return [torch.randn(2, 12, h, w, generator=draw) for h, w in grids]


def lively_head() -> ProposalHead:
    head = ProposalHead(12, 3)
    draw = torch.Generator().manual_seed(1)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=draw)
    return head


def torchvision_network(head: ProposalHead) -> RegionProposalNetwork:
    theirs = RPNHead(12, 3)
    theirs.conv[0][0].load_state_dict(head.hidden.state_dict())
    theirs.cls_logits.load_state_dict(head.objectness.state_dict())
    theirs.bbox_pred.load_state_dict(head.codes.state_dict())
    generator = AnchorGenerator(tuple((int(s[0]),) for s in SIZES_PX), ((0.5, 1.0, 2.0),) * 5)
    counts = {"training": 80, "testing": 80}, {"training": 250, "testing": 250}
    return RegionProposalNetwork(generator, theirs, 0.7, 0.3, 256, 0.5, *counts, 0.7).eval()


@torch.no_grad()
def test_proposes_what_torchvision_proposes() -> None:
    maps, head = levels(), lively_head()
    images = ImageList(torch.zeros(2, 3, *SIZE), [SIZE, SIZE])
    expected, _ = torchvision_network(head)(images, {str(i): x for i, x in enumerate(maps)})
    logits, codes = zip(*map(head, maps), strict=True)
    anchors = LevelAnchors(SPEC)(maps, SIZE)
    boxes, is_real = select_proposals(list(logits), list(codes), anchors, SIZE, SPEC)
    assert boxes.shape == (2, 250, 4)
    for image in range(2):
        torch.testing.assert_close(boxes[image, is_real[image]], expected[image])
    assert not is_real.all(), "nothing was padded"


def test_fewer_anchors_than_proposals_make_fewer_regions() -> None:
    maps = [torch.zeros(1, 12, 1, 1)] * 5
    logits, codes = zip(*map(ProposalHead(12, 3), maps), strict=True)
    anchors = LevelAnchors(SPEC)(maps, SIZE)
    boxes, is_real = select_proposals(list(logits), list(codes), anchors, SIZE, SPEC)
    assert boxes.shape == (1, 15, 4)
    assert is_real.any()


@torch.no_grad()
def test_a_box_beyond_the_image_is_none() -> None:
    logits = torch.tensor([[5.0, 1.0]])
    anchors = torch.tensor([[-30.0, 5, -10, 20], [10, 10, 30, 30]])
    boxes, is_real = select_proposals([logits], [torch.zeros(1, 2, 4)], [anchors], SIZE, SPEC)
    assert is_real.tolist() == [[True, False]]
    assert boxes[0, 0].tolist() == [10, 10, 30, 30]
