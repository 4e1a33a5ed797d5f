"""Pre-norm transformer layers, as CLIP's text tower has them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.clip.spec import Activation

# Legend: B batch, T tokens, D width, N heads, d width of a head.


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x): what OpenAI trained with (Hendrycks & Gimpel 2016, section 2)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class SelfAttention(nn.Module):
    """Every token asks every other, or those before it where `causal`."""

    def __init__(self, dim: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]"""
        batch, tokens, dim = x.shape
        packed = self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads)
        q, k, v = packed.permute(2, 0, 3, 1, 4).unbind(0)  # [B, N, T, d] each
        answers = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        out: Tensor = self.out(answers.transpose(1, 2).reshape(batch, tokens, dim))
        return out


class TransformerLayer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(
        self, dim: int, heads: int, mlp_ratio: float, activation: Activation, *, causal: bool
    ) -> None:
        super().__init__()
        hidden = round(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, heads, causal=causal)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden),
            QuickGELU() if activation == "quick_gelu" else nn.GELU(),
            nn.Linear(hidden, dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]"""
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


def initialise_layers(layers: nn.ModuleList, dim: int) -> None:
    """Radford et al. 2021's deviations: the residual branches shrink with the depth."""
    branch_std = dim**-0.5 * (2 * len(layers)) ** -0.5
    for layer in layers:
        assert isinstance(layer, TransformerLayer)
        nn.init.normal_(layer.attention.qkv.weight, std=dim**-0.5)
        nn.init.normal_(layer.attention.out.weight, std=branch_std)
        first, _, second = layer.mlp
        assert isinstance(first, nn.Linear) and isinstance(second, nn.Linear)
        nn.init.normal_(first.weight, std=(2 * dim) ** -0.5)
        nn.init.normal_(second.weight, std=branch_std)
        for linear in (layer.attention.qkv, layer.attention.out, first, second):
            nn.init.zeros_(linear.bias)
