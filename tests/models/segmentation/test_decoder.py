"""Where queries may look, and that they look nowhere else."""

import torch
from torch import nn

from models.detection.detr.transformer import Attention
from models.segmentation.decoder import MaskedDecoder, allowed_cells
from tests.models.segmentation.squares import tiny_spec


def test_a_query_looks_inside_its_mask_and_everywhere_if_that_is_empty() -> None:
    masks = torch.full((1, 3, 8, 8), -5.0)
    masks[0, 1, :4, :4] = 5.0
    masks[0, 2] = 5.0
    allowed = allowed_cells(masks, (2, 2))
    assert allowed.tolist() == [[[True] * 4, [True, False, False, False], [True] * 4]]


def test_attention_is_torchs_own_under_the_same_mask() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(16, 4, 0.0), nn.MultiheadAttention(16, 4, batch_first=True)
    parts = [ours.q_proj, ours.k_proj, ours.v_proj]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
    theirs.out_proj.load_state_dict(ours.out_proj.state_dict())
    query, key, value = torch.randn(2, 5, 16), torch.randn(2, 9, 16), torch.randn(2, 9, 16)
    allowed = torch.rand(2, 5, 9) < 0.5
    allowed[..., 0] = True
    blocked = (~allowed).repeat_interleave(4, 0)
    expected, _ = theirs(query, key, value, attn_mask=blocked)
    torch.testing.assert_close(ours(query, key, value, allowed), expected)


def test_training_hears_every_layer_and_evaluation_the_last() -> None:
    torch.manual_seed(0)
    spec = tiny_spec()
    decoder = MaskedDecoder(spec)
    levels = [torch.randn(2, spec.width, side, side) for side in (2, 4, 8)]
    features = torch.randn(2, spec.mask_width, 16, 16)
    answers = decoder(levels, features)
    assert len(answers) == 1 + spec.decoder_layers
    assert answers[0].class_logits.shape == (2, spec.queries, 5)
    assert answers[0].mask_logits.shape == (2, spec.queries, 16, 16)
    (last,) = decoder.eval()(levels, features)
    torch.testing.assert_close(last.mask_logits, answers[-1].mask_logits)


def test_what_lies_outside_of_a_mask_is_not_looked_at() -> None:
    """Between the first and the second answer a query sees one map, where its first mask is."""
    torch.manual_seed(0)
    spec = tiny_spec(decoder_layers=1)
    decoder = MaskedDecoder(spec)
    # A layer in which queries do not talk to one another.
    nn.init.zeros_(decoder.layers[0].self_attention.out_proj.weight)
    levels = [torch.randn(1, spec.width, side, side) for side in (4, 8, 16)]
    features = torch.randn(1, spec.mask_width, 32, 32)
    before = decoder(levels, features)
    allowed = allowed_cells(before[0].mask_logits, (4, 4))[0]  # [Q, 16]
    cell = int((allowed.float().mean(0) - 0.5).abs().argmin())  # about half of them see it
    assert 0 < allowed[:, cell].sum() < spec.queries
    levels[0][..., cell // 4, cell % 4] += 1
    after = decoder(levels, features)
    same = (before[1].class_logits - after[1].class_logits)[0].abs().amax(1) < 1e-6
    assert torch.equal(same, ~allowed[:, cell])
