"""From a feature map to one vector."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.clip.transformer import TransformerLayer, initialise_layers

# Legend: B batch, D channels, h w cells of the map, T = 1 + h w tokens, N heads, E width.


class AttentionPool(nn.Module):
    """CLIP's ResNet pools so: the mean of the cells asks all cells (Radford et al. 2021, 2.4).

    Cells and mean have learnt positions, so that where a thing is survives.
    """

    def __init__(self, channels: int, cells: int, heads: int, out: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels do not divide into {heads} heads")
        self.heads = heads
        self.positions = nn.Parameter(torch.randn(1 + cells, channels) * channels**-0.5)
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, out)
        for linear in (self.query, self.key, self.value):
            nn.init.normal_(linear.weight, std=channels**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, h, w] -> [B, E]"""
        cells = features.flatten(2).transpose(1, 2)  # [B, h w, D]
        x = torch.cat([cells.mean(1, keepdim=True), cells], 1) + self.positions  # [B, T, D]
        q = self._by_head(self.query(x[:, :1]))  # [B, N, 1, d]
        k, v = self._by_head(self.key(x)), self._by_head(self.value(x))
        answer = F.scaled_dot_product_attention(q, k, v)  # [B, N, 1, d]
        pooled: Tensor = self.out(answer.flatten(1))
        return pooled

    def _by_head(self, x: Tensor) -> Tensor:
        batch, tokens, channels = x.shape
        return x.view(batch, tokens, self.heads, channels // self.heads).transpose(1, 2)


class EncoderPool(nn.Module):
    """A class token and the cells, with learnt positions, through transformer layers.

    Cells can so be compared with one another (how many, to the left of what) before they are
    summed up.
    """

    def __init__(self, channels: int, cells: int, dim: int, layers: int, heads: int) -> None:
        super().__init__()
        self.inward = nn.Linear(channels, dim)
        self.token = nn.Parameter(torch.randn(dim) * 0.02)
        self.positions = nn.Parameter(torch.randn(cells, dim) * 0.02)
        self.layers = nn.ModuleList(
            TransformerLayer(dim, heads, 4.0, "gelu", causal=False) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(dim)
        initialise_layers(self.layers, dim)

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, h, w] -> [B, E]"""
        cells = self.inward(features.flatten(2).transpose(1, 2)) + self.positions  # [B, h w, E]
        x = torch.cat([self.token.expand(cells.shape[0], 1, -1), cells], 1)  # [B, T, E]
        for layer in self.layers:
            x = layer(x)
        pooled: Tensor = self.norm(x[:, 0])
        return pooled


class MeanPool(nn.Module):
    """The mean of the cells."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, h, w] -> [B, D]"""
        return features.mean((2, 3))
