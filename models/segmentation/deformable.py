"""Deformable attention over several maps (Zhu et al. 2021): each token looks at a few points."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Legend: B batch, T tokens of all maps, D width, M heads, V maps, K points, h w cells of a map.

Sizes = tuple[tuple[int, int], ...]


class DeformableAttention(nn.Module):
    """Every token reads `points` places of each map, around its own, and weighs what it finds.

    The places are offsets in cells of the map that is read, learnt from the token.
    """

    def __init__(self, width: int, heads: int, maps: int, points: int) -> None:
        super().__init__()
        self.heads, self.maps, self.points = heads, maps, points
        self.offsets = nn.Linear(width, heads * maps * points * 2)
        self.weights = nn.Linear(width, heads * maps * points)
        self.values = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self._reset()

    def forward(self, queries: Tensor, tokens: Tensor, places: Tensor, sizes: Sizes) -> Tensor:
        """`queries` and `tokens` [B, T, D], `places` x y in [0, 1] [T, 2] -> [B, T, D].

        The tokens are those of maps of these (height, width), one map after the other.
        """
        batch, count, width = queries.shape
        shape = (batch, count, self.heads, self.maps, self.points)
        offsets = self.offsets(queries).view(*shape, 2)
        weights = self.weights(queries).view(*shape[:3], -1).softmax(-1)  # [B, T, M, V K]
        cells = queries.new_tensor([[w, h] for h, w in sizes])[:, None]  # [V, 1, 2]
        grid = 2 * (places[:, None, None, None] + offsets / cells) - 1  # [B, T, M, V, K, 2]
        found = self._read(self.values(tokens), grid, sizes)  # [B M, D / M, V K, T]
        weights = weights.permute(0, 2, 3, 1).reshape(batch * self.heads, 1, -1, count)
        mixed = (found * weights).sum(2)  # [B M, D / M, T]
        answer: Tensor = self.output(mixed.view(batch, width, count).transpose(1, 2))
        return answer

    def _read(self, values: Tensor, grid: Tensor, sizes: Sizes) -> Tensor:
        """[B, T, D] and [B, T, M, V, K, 2] -> [B M, D / M, V K, T], bilinear, zero outside."""
        width, found = values.shape[2], []
        pieces = torch.split(values, [h * w for h, w in sizes], 1)
        for number, (piece, (h, w)) in enumerate(zip(pieces, sizes, strict=True)):
            planes = piece.transpose(1, 2).reshape(-1, width // self.heads, h, w).float()
            where = grid[:, :, :, number].permute(0, 2, 3, 1, 4).flatten(0, 1)  # [B M, K, T, 2]
            found.append(F.grid_sample(planes, where.float(), align_corners=False))
        return torch.cat(found, 2)

    def _reset(self) -> None:
        """At first each head looks in its own direction, with each point one cell farther."""
        angles = torch.arange(self.heads) * (2 * math.pi / self.heads)
        rays = torch.stack([angles.cos(), angles.sin()], 1)  # [M, 2]
        rays = rays / rays.abs().amax(1, keepdim=True)
        steps = torch.arange(1.0, self.points + 1)
        spread = rays[:, None, None] * steps[:, None]  # [M, 1, K, 2]
        with torch.no_grad():
            self.offsets.bias.copy_(spread.expand(-1, self.maps, -1, -1).flatten())
        nn.init.zeros_(self.offsets.weight)
        for layer in (self.weights, self.values, self.output):
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.weights.weight)
        nn.init.xavier_uniform_(self.values.weight)
        nn.init.xavier_uniform_(self.output.weight)
