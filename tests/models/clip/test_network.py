import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from models.backbones.spec import BackboneSpec
from models.clip.network import MAX_LOGIT_SCALE, ClipNetwork
from models.clip.pooling import AttentionPool, EncoderPool
from models.clip.spec import ClipSpec, ImageSpec, TextSpec
from models.clip.text import TextTower
from tests.models.clip.tiny import TINY_CNN, TINY_VIT

TEXT = TextSpec(vocabulary=50, length=12, dim=32, layers=2, heads=2)


def spec(image: ImageSpec) -> ClipSpec:
    return ClipSpec(image=image, text=TEXT, embed_dim=16, input_size=(64, 64))


@pytest.mark.parametrize(
    "image",
    [
        ImageSpec(backbone=TINY_VIT),
        ImageSpec(backbone=TINY_CNN, pooling="mean"),
        ImageSpec(backbone=TINY_CNN, pooling="attention", heads=2, dim=24),
        ImageSpec(backbone=TINY_CNN, pooling="encoder", stride=16, heads=2, dim=24),
    ],
    ids=lambda image: image.pooling,
)
def test_every_pooling_embeds_at_unit_length_and_learns(image: ImageSpec) -> None:
    network = ClipNetwork(spec(image))
    pixels = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    tokens = torch.tensor([[0, 7, 8, 1, 1], [0, 9, 1, 1, 1]])
    images, texts, scale = network(pixels, tokens, tokens[:1, :4])
    assert images.shape == (3, 16) and texts.shape == (3, 16)
    torch.testing.assert_close(torch.cat([images, texts]).norm(dim=1), torch.ones(6))
    torch.testing.assert_close(texts[2], texts[0])  # cut after its end it is the same text
    assert float(scale.detach()) == pytest.approx(1 / 0.07)
    (images @ texts.T * scale).logsumexp(1).sum().backward()
    silent = [name for name, p in network.named_parameters() if p.grad is None]
    assert silent == []


def test_the_scale_stops_at_a_hundred() -> None:
    network = ClipNetwork(spec(ImageSpec(backbone=TINY_VIT)))
    nn.init.constant_(network.log_scale, math.log(1e4))
    assert float(network.logit_scale.detach()) == MAX_LOGIT_SCALE


def test_where_things_are_survives_attention_but_not_the_mean() -> None:
    features = torch.randn(1, 16, 3, 3)
    turned = features.flip(3)
    attention, encoder = AttentionPool(16, 9, 2, 8), EncoderPool(16, 9, 8, 2, 2)
    for pool in (attention, encoder):
        assert not torch.allclose(pool(features), pool(turned), atol=1e-3)
    torch.testing.assert_close(features.mean((2, 3)), turned.mean((2, 3)))


def test_attention_pooling_is_open_clips() -> None:
    from open_clip.modified_resnet import AttentionPool2d

    theirs = AttentionPool2d(3, 16, 2, 8).eval()
    ours = AttentionPool(16, 9, 2, 8)
    names = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "c_proj"}
    for mine, other in names.items():
        getattr(ours, mine).load_state_dict(getattr(theirs, other).state_dict())
    ours.positions.data = theirs.positional_embedding.data
    features = torch.randn(2, 16, 3, 3)
    torch.testing.assert_close(ours(features), theirs(features), rtol=1e-5, atol=1e-5)


def test_what_follows_the_end_changes_nothing_at_the_end() -> None:
    tower = TextTower(TEXT).eval()
    padded = torch.tensor([[0, 5, 6, 1, 1, 1], [0, 5, 6, 1, 9, 1]])
    states = tower(padded)
    pooled = tower.pool(states, padded)
    torch.testing.assert_close(pooled[0], pooled[1])
    torch.testing.assert_close(pooled[0], states[0, 3])
    changed = padded.clone()
    changed[0, 1] = 7
    assert not torch.allclose(tower.pool(tower(changed), changed)[0], pooled[0], atol=1e-3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: replace(TEXT, heads=5), "heads"),
        (lambda: replace(TEXT, eos_id=0), "same token"),
        (lambda: replace(TEXT, eos_id=50), "no ids"),
        (lambda: ImageSpec(backbone=TINY_VIT, stride=16), "class token"),
        (lambda: replace(spec(ImageSpec(backbone=TINY_VIT)), template="a photo"), "template"),
        (lambda: ClipNetwork(spec(ImageSpec(backbone=BackboneSpec("resnetz")))), "resnetz"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(change: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        change()  # type: ignore[operator]
