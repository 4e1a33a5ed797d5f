"""The pixel decoder: maps that know of one another, and one of features for every pixel."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.detection.detr.position import sine_positions
from models.segmentation.deformable import DeformableAttention, Sizes
from models.segmentation.spec import LEVEL_STRIDES, SegmenterSpec

# Legend: B batch, T tokens of all maps, D width, E mask width, h w cells of a map.


class EncoderLayer(nn.Module):
    """The tokens of all maps look at one another. Normalisation follows each sum."""

    def __init__(self, spec: SegmenterSpec) -> None:
        super().__init__()
        width = spec.width
        self.attention = DeformableAttention(width, spec.heads, len(LEVEL_STRIDES), spec.points)
        self.attention_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, spec.encoder_feedforward)
        self.fc2 = nn.Linear(spec.encoder_feedforward, width)
        self.feedforward_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, positions: Tensor, places: Tensor, sizes: Sizes) -> Tensor:
        """[B, T, D], [T, D] and [T, 2] -> [B, T, D]"""
        attended = self.attention(tokens + positions, tokens, places, sizes)
        tokens = self.attention_norm(tokens + attended)
        answer: Tensor = self.feedforward_norm(tokens + self.fc2(F.relu(self.fc1(tokens))))
        return answer


class PixelDecoder(nn.Module):
    """Maps of strides 4, 8, 16, 32 -> (features of stride 4 [B, E, h, w], the three coarser maps
    [B, D, h, w], coarsest first)."""

    def __init__(self, spec: SegmenterSpec, channels: tuple[int, ...]) -> None:
        super().__init__()
        width, groups = spec.width, spec.norm_groups
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, width, 1), nn.GroupNorm(groups, width))
            for c in reversed(channels[1:])
        )
        self.level_embed = nn.Parameter(torch.randn(len(LEVEL_STRIDES), width))
        self.layers = nn.ModuleList(EncoderLayer(spec) for _ in range(spec.encoder_layers))
        self.lateral = nn.Sequential(
            nn.Conv2d(channels[0], width, 1, bias=False), nn.GroupNorm(groups, width)
        )
        self.merge = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.GroupNorm(groups, width),
            nn.ReLU(),
        )
        self.mask_features = nn.Conv2d(width, spec.mask_width, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """`features` finest first."""
        maps = [
            projection(x)
            for projection, x in zip(self.projections, reversed(features[1:]), strict=True)
        ]
        sizes = tuple((x.shape[2], x.shape[3]) for x in maps)
        tokens = torch.cat([x.flatten(2).transpose(1, 2) for x in maps], 1)  # [B, T, D]
        device, width = tokens.device, tokens.shape[2]
        positions = torch.cat(
            [
                sine_positions(h, w, width, device=device) + embed
                for (h, w), embed in zip(sizes, self.level_embed, strict=True)
            ]
        )  # [T, D]
        places = torch.cat([_middles(h, w, device) for h, w in sizes])  # [T, 2]
        for layer in self.layers:
            tokens = layer(tokens, positions, places, sizes)
        pieces = torch.split(tokens, [h * w for h, w in sizes], 1)
        levels = [
            piece.transpose(1, 2).reshape(-1, width, h, w)
            for piece, (h, w) in zip(pieces, sizes, strict=True)
        ]
        fine = self.lateral(features[0])
        coarse = F.interpolate(levels[-1], fine.shape[2:], mode="bilinear", align_corners=False)
        return self.mask_features(self.merge(fine + coarse)), levels


def _middles(h: int, w: int, device: torch.device) -> Tensor:
    """x and y of the middles of cells, in [0, 1]: [h w, 2]."""
    y = (torch.arange(h, device=device) + 0.5) / h
    x = (torch.arange(w, device=device) + 0.5) / w
    return torch.stack([x.expand(h, w), y[:, None].expand(h, w)], -1).flatten(0, 1)
