"""DETR's transformer: positions are added to queries and keys at every layer, never to values."""

import torch.nn.functional as F
from torch import Tensor, nn

# Legend: B batch, T tokens of the image, Q queries, D width, L decoder layers.


class Attention(nn.Module):
    """Scaled dot products over several heads (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None
    ) -> Tensor:
        """[B, Q, D], [B, T, D] and [B, T, D] -> [B, Q, D]

        Where `allowed` bool [B, Q, T] is false a query does not look; it may look somewhere.
        """
        answer = F.scaled_dot_product_attention(
            self._split(self.q_proj(query)),
            self._split(self.k_proj(key)),
            self._split(self.v_proj(value)),
            attn_mask=None if allowed is None else allowed[:, None],
            dropout_p=self.dropout if self.training else 0.0,
        )
        merged: Tensor = self.out_proj(answer.transpose(1, 2).flatten(2))
        return merged

    def _split(self, tokens: Tensor) -> Tensor:
        """[B, T, D] -> [B, heads, T, D / heads]"""
        batch, _, width = tokens.shape
        return tokens.reshape(batch, -1, self.heads, width // self.heads).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Each token on its own."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.activation = nn.ReLU()
        self.inner_dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(inner, width)


class EncoderLayer(nn.Module):
    """The image's tokens look at one another. Normalisation follows each sum, as in the paper."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = Attention(width, heads, dropout)
        self.self_attention_norm = nn.LayerNorm(width)
        self.feedforward = FeedForward(width, feedforward, dropout)
        self.feedforward_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """[B, T, D] and [T, D] -> [B, T, D]"""
        placed = tokens + positions
        attended = self.self_attention(placed, placed, tokens)
        tokens = self.self_attention_norm(tokens + self.dropout(attended))
        answer: Tensor = self.feedforward_norm(tokens + self.dropout(self.feedforward(tokens)))
        return answer


class DecoderLayer(nn.Module):
    """The queries look at one another, then at the image."""

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attention = Attention(width, heads, dropout)
        self.self_attention_norm = nn.LayerNorm(width)
        self.cross_attention = Attention(width, heads, dropout)
        self.cross_attention_norm = nn.LayerNorm(width)
        self.feedforward = FeedForward(width, feedforward, dropout)
        self.feedforward_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, queries: Tensor, tokens: Tensor, positions: Tensor) -> Tensor:
        """`states` [B, Q, D], learned `queries` [Q, D], `tokens` [B, T, D], `positions` [T, D]."""
        placed = states + queries
        attended = self.self_attention(placed, placed, states)
        states = self.self_attention_norm(states + self.dropout(attended))
        attended = self.cross_attention(states + queries, tokens + positions, tokens)
        states = self.cross_attention_norm(states + self.dropout(attended))
        answer: Tensor = self.feedforward_norm(states + self.dropout(self.feedforward(states)))
        return answer


class Transformer(nn.Module):
    """Tokens of an image in, one state a query out, from the last layer or from all."""

    def __init__(
        self,
        *,
        width: int,
        heads: int,
        encoder_layers: int,
        decoder_layers: int,
        feedforward: int,
        dropout: float,
    ) -> None:
        super().__init__()
        sizes = (width, heads, feedforward, dropout)
        self.encoder = nn.ModuleList(EncoderLayer(*sizes) for _ in range(encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(*sizes) for _ in range(decoder_layers))
        self.norm = nn.LayerNorm(width)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, tokens: Tensor, positions: Tensor, queries: Tensor) -> list[Tensor]:
        """[B, T, D], [T, D] and [Q, D] -> [B, Q, D] of each decoder layer, the last one last.

        In evaluation mode only that of the last layer.
        """
        for encode in self.encoder:
            tokens = encode(tokens, positions)
        states = queries.new_zeros(()).expand(tokens.shape[0], *queries.shape)
        answers = []
        for index, decode in enumerate(self.decoder, 1):
            states = decode(states, queries, tokens, positions)
            if self.training or index == len(self.decoder):
                answers.append(self.norm(states))
        return answers
