import dataclasses

import pytest
import torch

from models.backbones import BackboneSpec
from models.detection import Candidates
from models.detection.detr.network import DETR
from models.detection.detr.spec import DETRSpec

SPEC = DETRSpec(
    labels=("a", "b", "c"),
    backbone=BackboneSpec("resnet10t", {"channels": [8, 8, 8, 8], "stem_width": 8}),
    input_size=(64, 96),
    width=32,
    heads=4,
    encoder_layers=1,
    decoder_layers=2,
    feedforward=64,
    queries=10,
)


def images(batch: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, *SPEC.input_size, 3), dtype=torch.uint8, generator=draw)


@torch.no_grad()
def test_every_query_is_a_candidate_for_one_class() -> None:
    found = DETR(SPEC).eval()(images(2))
    assert isinstance(found, Candidates)
    assert found.boxes_xyxy.shape == (2, 10, 4) and found.scores.shape == (2, 10, 3)
    assert ((found.scores > 0).sum(-1) == 1).all()


@torch.no_grad()
def test_boxes_are_in_pixels_of_the_input() -> None:
    network = DETR(SPEC).eval()
    for parameter in network.boxes[-1].parameters():
        torch.nn.init.zeros_(parameter)  # centre and size 0.5 each
    boxes = network(images(1)).boxes_xyxy
    expected = torch.tensor([24.0, 16.0, 72.0, 48.0]).expand(1, 10, 4)
    torch.testing.assert_close(boxes, expected)


@torch.no_grad()
def test_classes_without_a_label_are_never_answered() -> None:
    network = DETR(dataclasses.replace(SPEC, unnamed_classes=2)).eval()
    torch.nn.init.zeros_(network.classes.weight)
    torch.nn.init.zeros_(network.classes.bias)
    torch.testing.assert_close(network(images(1)).scores, torch.full((1, 10, 3), 1 / 6))


def test_every_decoder_layer_answers_in_training_and_the_last_alone_after() -> None:
    network = DETR(dataclasses.replace(SPEC, dropout=0.0))
    network.backbone.eval()  # no statistics of the batch, so that both modes are comparable
    pixels = torch.randn(1, 3, 64, 96)
    in_training = network.predict(pixels, None)["class_logits"]
    after = network.eval().predict(pixels, None)["class_logits"]
    assert in_training.shape == (2, 1, 10, 4) and after.shape == (1, 1, 10, 4)
    torch.testing.assert_close(in_training[-1:], after)


@torch.no_grad()
def test_no_sample_sees_another() -> None:
    network, both = DETR(SPEC).eval(), images(2)
    alone = network(both[1:]).boxes_xyxy
    torch.testing.assert_close(network(both).boxes_xyxy[1:], alone)


def test_the_width_must_divide_into_heads() -> None:
    with pytest.raises(ValueError, match="divide by heads"):
        dataclasses.replace(SPEC, heads=5)
