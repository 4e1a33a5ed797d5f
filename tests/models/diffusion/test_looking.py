from __future__ import annotations

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from models.backbones.spec import BackboneSpec
from models.classification import Classifier, ClassifierSpec
from models.data.world import COLOURS, OBJECT_NAMES, SHAPES
from models.detection.detector import Candidates
from models.detection.retinanet.spec import RetinaNetSpec
from models.diffusion.looking import Onlooker, judge, summarise

SIDE = 64
SPEC = RetinaNetSpec(labels=SHAPES, backbone=BackboneSpec("resnet10t"), input_size=(SIDE, SIDE))


class SeesSquares(nn.Module):
    """Finds a ball on the left and a cone on the right, twice at nearly the same place."""

    def forward(self, image: Tensor) -> Candidates:
        boxes = torch.tensor([[4.0, 4, 20, 20], [40.0, 40, 60, 60], [41.0, 40, 60, 60]])
        scores = torch.zeros(3, len(SHAPES))
        scores[0, SHAPES.index("ball")] = 0.9
        scores[1, SHAPES.index("cone")] = 0.8
        scores[2, SHAPES.index("pyramid")] = 0.6
        count = len(image)
        return Candidates(boxes.expand(count, 3, 4), scores.expand(count, 3, len(SHAPES)))


class NamesByColour(Classifier):
    """Says red where the middle of what it sees is red, else blue; of shapes it is unsure."""

    def forward(self, image: Tensor) -> Tensor:
        middle = image[:, 24:40, 24:40].float().mean((1, 2))  # [B, 3]
        logits = torch.zeros(len(image), len(SHAPES), len(COLOURS))
        is_red = middle[:, 0] > middle[:, 2]
        logits[is_red, :, COLOURS.index("red")] = 5
        logits[~is_red, :, COLOURS.index("blue")] = 5
        return logits.flatten(1)


def onlooker(share: float = 1.0) -> Onlooker:
    kwargs = {"channels": [4, 8, 8, 16], "stem_width": 4}
    namer = NamesByColour(ClassifierSpec("resnet10t", OBJECT_NAMES, (64, 64), kwargs)).eval()
    return Onlooker(SeesSquares(), SPEC, namer, threshold=0.3, share=share)


def test_things_are_seen_once_and_in_their_colours() -> None:
    picture = torch.zeros(1, SIDE * 2, SIDE * 2, 3, dtype=torch.uint8)
    picture[0, 8:40, 8:40, 0] = 255
    picture[0, 80:120, 80:120, 2] = 255
    assert onlooker().see(picture) == [Counter({"red ball": 1, "blue cone": 1})]
    assert onlooker().features(picture).shape[0] == 1


def test_a_frame_makes_a_picture_smaller() -> None:
    picture = torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8)
    picture[..., 2] = 255
    # In a frame these pixels lie in the middle of the ball's box, else before it.
    picture[0, 2:10, 2:10] = torch.tensor([255, 0, 0], dtype=torch.uint8)
    assert onlooker().see(picture) == [Counter({"blue ball": 1, "blue cone": 1})]
    assert onlooker(share=0.8).see(picture) == [Counter({"red ball": 1, "blue cone": 1})]


def test_another_worlds_networks_are_refused() -> None:
    namer = Classifier(ClassifierSpec("resnet10t", ("cat", "dog"), (64, 64)))
    with pytest.raises(ValueError, match="tabletop"):
        Onlooker(SeesSquares(), SPEC, namer, threshold=0.3)


def test_a_verdict_counts_names_shapes_and_colours() -> None:
    stated = Counter({"red ball": 2, "blue cone": 1})
    assert judge(stated, stated.copy()).is_true
    swapped = judge(stated, Counter({"red ball": 1, "blue ball": 1, "red cone": 1}))
    assert not swapped.is_true and swapped.shapes == swapped.colours == 1 and swapped.count
    few = judge(stated, Counter({"red ball": 1}))
    assert (few.shapes, few.colours, few.count) == (
        pytest.approx(1 / 3),
        pytest.approx(1 / 3),
        False,
    )
    assert not judge(stated, Counter({**stated, "white cube": 1})).is_true


def test_the_summary_tells_one_thing_from_more() -> None:
    one, two = Counter({"red ball": 1}), Counter({"red ball": 2})
    figures = summarise([judge(one, one), judge(two, two), judge(two, one)])
    assert figures["true_one"] == 1 and figures["true_more"] == 0.5
    assert figures["true"] == pytest.approx(2 / 3) and figures["shapes_more"] == 0.75
