import pytest
import torch

from models.backbones import Backbone, BackboneSpec

TINY = BackboneSpec("resnet10t", {"channels": [8, 16, 24, 32], "stem_width": 8})


def test_the_maps_have_the_strides_and_channels_that_were_said() -> None:
    backbone = Backbone(TINY, (8, 16, 32)).eval()
    found = backbone(torch.zeros(2, 3, 64, 96))
    assert [tuple(x.shape) for x in found] == [(2, 16, 8, 12), (2, 24, 4, 6), (2, 32, 2, 3)]
    assert backbone.channels == (16, 24, 32)


def test_an_unknown_name_says_what_is_near() -> None:
    with pytest.raises(ValueError, match="resnet18"):
        Backbone(BackboneSpec("resnet18x"), (8,))


def test_a_stride_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"\[64\]"):
        Backbone(TINY, (32, 64))
