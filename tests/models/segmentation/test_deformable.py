"""Deformable attention and the pixel decoder against those of transformers."""

import torch
from transformers.models.mask2former.modeling_mask2former import (
    Mask2FormerPixelDecoderEncoderMultiscaleDeformableAttention as Reference,
)

from models.segmentation.deformable import DeformableAttention
from models.segmentation.pixel_decoder import PixelDecoder
from tests.models.segmentation.squares import tiny_spec

SIZES = ((2, 3), (4, 5), (8, 11))
COUNT = sum(h * w for h, w in SIZES)
NAMES = {
    "offsets": "sampling_offsets",
    "weights": "attention_weights",
    "values": "value_proj",
    "output": "output_proj",
}


def test_reads_what_transformers_reads() -> None:
    torch.manual_seed(0)
    ours, theirs = DeformableAttention(32, 4, 3, 4), Reference(32, 4, 3, 4)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # offsets that reach over the borders
    weights = {
        f"{NAMES[name.split('.')[0]]}.{name.split('.')[1]}": value
        for name, value in ours.state_dict().items()
    }
    theirs.load_state_dict(weights)
    queries, tokens = torch.randn(2, 2, COUNT, 32)
    places = torch.rand(COUNT, 2)
    expected, _ = theirs(
        hidden_states=queries,
        encoder_hidden_states=tokens,
        reference_points=places[None, :, None].expand(2, -1, 3, -1),
        spatial_shapes_list=list(SIZES),
    )
    torch.testing.assert_close(ours(queries, tokens, places, SIZES), expected)


def test_heads_look_into_directions_of_their_own_at_first() -> None:
    offsets = DeformableAttention(16, 4, 3, 2).offsets.bias.view(4, 3, 2, 2)
    right, down = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    expected = torch.stack([right, down, -right, -down])
    torch.testing.assert_close(offsets[:, 1, 0], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(offsets[:, 2, 1], 2 * expected, atol=1e-6, rtol=0)


def test_the_pixel_decoder_keeps_every_map_at_its_stride() -> None:
    torch.manual_seed(0)
    spec = tiny_spec()
    decoder = PixelDecoder(spec, (8, 16, 24, 32)).eval()
    strides = ((4, 8), (8, 16), (16, 24), (32, 32))
    maps = [torch.randn(2, d, 64 // s, 96 // s) for s, d in strides]
    with torch.no_grad():
        mask_features, levels = decoder(maps)
        maps[3] = maps[3] + 1
        changed, _ = decoder(maps)
    assert mask_features.shape == (2, spec.mask_width, 16, 24)
    assert [level.shape for level in levels] == [
        (2, spec.width, 64 // s, 96 // s) for s in (32, 16, 8)
    ]
    assert not torch.allclose(mask_features, changed)  # the coarsest map is heard everywhere
