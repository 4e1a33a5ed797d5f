from collections import OrderedDict

import pytest
import torch
from torchvision.ops import feature_pyramid_network as reference

from models.backbones import FeaturePyramid

SIZES = ((24, 40), (12, 20), (6, 10))  # of three maps, finest first
CHANNELS = (8, 12, 20)


def maps() -> list[torch.Tensor]:
    return [torch.randn(2, d, *size) for d, size in zip(CHANNELS, SIZES, strict=True)]


def assert_as_torchvision(ours: FeaturePyramid, theirs: reference.FeaturePyramidNetwork) -> None:
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    features = maps()
    named = OrderedDict((str(i), x) for i, x in enumerate(features))
    found, expected = ours(features), list(theirs(named).values())
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_pyramid_is_torchvisions() -> None:
    assert_as_torchvision(
        FeaturePyramid(CHANNELS, 16), reference.FeaturePyramidNetwork(list(CHANNELS), 16)
    )


@pytest.mark.parametrize("source", ["backbone", "pyramid"])
def test_coarser_levels_are_retinanets(source: str) -> None:
    ours = FeaturePyramid(
        CHANNELS, 16, extra_levels=2, extra_source="backbone" if source == "backbone" else "pyramid"
    )
    width = CHANNELS[-1] if source == "backbone" else 16
    extra = reference.LastLevelP6P7(width, 16)
    theirs = reference.FeaturePyramidNetwork(list(CHANNELS), 16, extra_blocks=extra)
    assert_as_torchvision(ours, theirs)


def test_only_the_levels_that_are_kept_have_outputs() -> None:
    pyramid = FeaturePyramid(CHANNELS, 16, kept_levels=1)
    assert [tuple(level.shape) for level in pyramid(maps())] == [(2, 16, *SIZES[0])]
    assert len(pyramid.outputs) == 1
    with pytest.raises(ValueError, match="keep all"):
        FeaturePyramid(CHANNELS, 16, kept_levels=1, extra_levels=1)
