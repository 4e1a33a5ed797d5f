"""The text tower: token ids to a sequence of states, and to the one at the text's end."""

import torch
from torch import Tensor, nn

from models.clip.spec import TextSpec
from models.clip.transformer import TransformerLayer, initialise_layers

# Legend: B batch, T tokens, D width.


class TextTower(nn.Module):
    """A causal transformer.

    `forward` gives the states of all tokens after the last norm, which cross-attention reads;
    `pool` picks the state at the first end-of-text. What follows that token cannot change it.
    """

    def __init__(self, spec: TextSpec) -> None:
        super().__init__()
        self.spec = spec
        self.tokens = nn.Embedding(spec.vocabulary, spec.dim)
        self.positions = nn.Parameter(torch.empty(spec.length, spec.dim))
        self.layers = nn.ModuleList(
            TransformerLayer(spec.dim, spec.heads, spec.mlp_ratio, spec.activation, causal=True)
            for _ in range(spec.layers)
        )
        self.norm = nn.LayerNorm(spec.dim)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.01)
        initialise_layers(self.layers, spec.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """int64 [B, T], T up to the spec's length -> states float [B, T, D]"""
        x = self.tokens(tokens) + self.positions[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x)
        states: Tensor = self.norm(x)
        return states

    def pool(self, states: Tensor, tokens: Tensor) -> Tensor:
        """The states [B, T, D] of `tokens` [B, T] at each row's first end-of-text, [B, D]."""
        ends = (tokens == self.spec.eos_id).to(torch.int64)
        first = ends * (ends.cumsum(1) == 1)  # [B, T], one 1 a row
        return (states * first[..., None].to(states.dtype)).sum(1)
