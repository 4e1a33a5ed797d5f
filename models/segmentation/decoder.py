"""The transformer decoder: queries that look only where their mask was, and so sharpen it."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.detection.detr.position import sine_positions
from models.detection.detr.transformer import Attention
from models.segmentation.spec import LEVEL_STRIDES, SegmenterSpec

# Legend: B batch, Q queries, T tokens of a map, D width, E mask width, C classes and ∅, M heads,
# h w cells of a map.


class Answer(NamedTuple):
    """What the queries say after one layer."""

    class_logits: Tensor  # [B, Q, C]
    mask_logits: Tensor  # [B, Q, h, w], at the stride of the mask features


class DecoderLayer(nn.Module):
    """The queries look at the image where they may, then at one another."""

    def __init__(self, spec: SegmenterSpec) -> None:
        super().__init__()
        width = spec.width
        self.cross_attention = Attention(width, spec.heads, dropout=0.0)
        self.cross_attention_norm = nn.LayerNorm(width)
        self.self_attention = Attention(width, spec.heads, dropout=0.0)
        self.self_attention_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, spec.decoder_feedforward)
        self.fc2 = nn.Linear(spec.decoder_feedforward, width)
        self.feedforward_norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self, states: Tensor, queries: Tensor, tokens: Tensor, positions: Tensor, allowed: Tensor
    ) -> Tensor:
        """`states` [B, Q, D], learned `queries` [Q, D], `tokens` [B, T, D], `positions` [T, D],
        `allowed` bool [B, Q, T]."""
        attended = self.cross_attention(states + queries, tokens + positions, tokens, allowed)
        states = self.cross_attention_norm(states + attended)
        placed = states + queries
        states = self.self_attention_norm(states + self.self_attention(placed, placed, states))
        inner = self.fc2(F.relu(self.fc1(states)))
        answer: Tensor = self.feedforward_norm(states + inner)
        return answer


class MaskedDecoder(nn.Module):
    """Maps and mask features in, the answers of every layer out.

    The first answer is that of the learned queries before they have seen the image.
    """

    def __init__(self, spec: SegmenterSpec) -> None:
        super().__init__()
        width = spec.width
        self.queries = nn.Parameter(torch.randn(spec.queries, width))
        self.states = nn.Parameter(torch.randn(spec.queries, width))
        self.level_embed = nn.Parameter(torch.randn(len(LEVEL_STRIDES), width))
        self.layers = nn.ModuleList(DecoderLayer(spec) for _ in range(spec.decoder_layers))
        self.norm = nn.LayerNorm(width)
        self.classes = nn.Linear(width, spec.nothing + 1)
        self.masks = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, spec.mask_width),
        )

    def forward(self, levels: list[Tensor], mask_features: Tensor) -> list[Answer]:
        """`levels` [B, D, h, w] coarsest first. In evaluation mode the last answer alone."""
        tokens = [
            x.flatten(2).transpose(1, 2) + embed
            for x, embed in zip(levels, self.level_embed, strict=True)
        ]
        sizes = [(x.shape[2], x.shape[3]) for x in levels]
        width, device = tokens[0].shape[2], tokens[0].device
        positions = [sine_positions(h, w, width, device=device) for h, w in sizes]
        states = self.states.expand(tokens[0].shape[0], -1, -1)
        answers = [self._answer(states, mask_features)]
        for number, layer in enumerate(self.layers):
            level = number % len(levels)
            allowed = allowed_cells(answers[-1].mask_logits, sizes[level])
            states = layer(states, self.queries, tokens[level], positions[level], allowed)
            answers.append(self._answer(states, mask_features))
        return answers if self.training else answers[-1:]

    def _answer(self, states: Tensor, mask_features: Tensor) -> Answer:
        states = self.norm(states)
        masks = torch.einsum("bqe,behw->bqhw", self.masks(states), mask_features)
        return Answer(self.classes(states).float(), masks.float())


@torch.no_grad()
def allowed_cells(mask_logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Where each query may look on a map of `size`: [B, Q, h, w] -> bool [B, Q, T].

    Inside of its mask; a query whose mask is empty may look everywhere.
    """
    resized = F.interpolate(mask_logits.detach(), size, mode="bilinear", align_corners=False)
    inside = resized.flatten(2) >= 0
    return inside | ~inside.any(2, keepdim=True)
