"""Attention over the cells of a map: to one another, and to a text."""

import torch.nn.functional as F
from torch import Tensor, nn

# Legend: B batch, C channels, h w cells of a map, N = h w, T tokens, D width of the text, d width
# of a head.

_SHORT = 256


class Attention(nn.Module):
    """Multi-head attention from a sequence to another, or to itself (Vaswani et al. 2017)."""

    def __init__(self, width: int, context: int, heads: int, *, bias: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} does not divide into {heads} heads")
        self.heads = heads
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(context, width, bias=bias)
        self.value = nn.Linear(context, width, bias=bias)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """`x` [B, N, C], `context` [B, T, D] -> [B, N, C]."""
        query, key, value = self.query(x), self.key(context), self.value(context)
        answer = _attend(self._split(query), self._split(key), self._split(value))
        result: Tensor = self.out(answer.transpose(1, 2).flatten(2))
        return result

    def _split(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        split = x.reshape(batch, length, self.heads, width // self.heads)
        return split.transpose(1, 2)  # [B, heads, N, C / heads]


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """[B, heads, N, d], [B, heads, T, d] twice -> [B, heads, N, d]"""
    if query.device.type == "cpu" and query.shape[2] <= _SHORT:
        # Torch's fused kernel takes a fifth of a small network's training step longer than this.
        weights = (query * query.shape[3] ** -0.5) @ key.transpose(2, 3)  # [B, heads, N, T]
        mixed: Tensor = weights.softmax(3) @ value
        return mixed
    return F.scaled_dot_product_attention(query, key, value)


class MapAttention(nn.Module):
    """Every cell of a map attends to all: the middle of the autoencoder, with a single head."""

    def __init__(self, channels: int, *, groups: int, eps: float) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps)
        self.attention = Attention(channels, channels, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, C, h, w]."""
        cells = self.norm(x).flatten(2).transpose(1, 2)  # [B, N, C]
        attended: Tensor = self.attention(cells, cells)
        return x + attended.transpose(1, 2).reshape(x.shape)


class GatedFeedForward(nn.Module):
    """A hidden layer four times as wide, gated by the GELU of its other half (Shazeer 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = 4 * width
        self.inner = nn.Linear(width, 2 * self.hidden)
        self.outer = nn.Linear(self.hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        both = self.inner(x)
        result: Tensor = self.outer(both[..., : self.hidden] * F.gelu(both[..., self.hidden :]))
        return result


class TextTransformer(nn.Module):
    """One transformer block over a map's cells: to themselves, to the text, feed-forward.

    This is the `Transformer2DModel` of Stable Diffusion 1.x, with its single block.
    """

    def __init__(self, channels: int, context: int, heads: int, *, groups: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, eps=1e-6)
        self.enter = nn.Conv2d(channels, channels, 1)
        self.norm1 = nn.LayerNorm(channels)
        self.to_self = Attention(channels, channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.to_text = Attention(channels, context, heads)
        self.norm3 = nn.LayerNorm(channels)
        self.feed_forward = GatedFeedForward(channels)
        self.leave = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, text: Tensor) -> Tensor:
        """`x` [B, C, h, w], `text` [B, T, D] -> [B, C, h, w]."""
        cells = self.enter(self.norm(x)).flatten(2).transpose(1, 2)  # [B, N, C]
        normed = self.norm1(cells)
        cells = cells + self.to_self(normed, normed)
        cells = cells + self.to_text(self.norm2(cells), text)
        cells = cells + self.feed_forward(self.norm3(cells))
        result: Tensor = self.leave(cells.transpose(1, 2).reshape(x.shape))
        return x + result
