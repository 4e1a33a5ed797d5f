"""The image tower: normalised pixels to one vector."""

from typing import Any

import torch
from torch import Tensor, nn

from models.backbones.features import Backbone
from models.clip.pooling import AttentionPool, EncoderPool, MeanPool
from models.clip.spec import ImageSpec

# Legend: B batch, H W pixels, E width of the pooled vector.


class ImageTower(nn.Module):
    """A timm network and its pooling; `width` is the E of what comes out."""

    def __init__(self, spec: ImageSpec, input_size: tuple[int, int]) -> None:
        super().__init__()
        self.spec = spec
        self.backbone: nn.Module
        self.pool: nn.Module
        if spec.pooling == "token":
            self.backbone, self.width = _with_own_token(spec, input_size)
            self.pool = nn.Identity()
            return
        backbone = Backbone(spec.backbone, (spec.stride or _last_stride(spec),))
        channels, cells = _probe(backbone, input_size)
        self.backbone = backbone
        match spec.pooling:
            case "mean":
                self.pool, self.width = MeanPool(), channels
            case "attention":
                self.pool = AttentionPool(channels, cells, spec.heads, spec.dim)
                self.width = spec.dim
            case "encoder":
                self.pool = EncoderPool(channels, cells, spec.dim, spec.layers, spec.heads)
                self.width = spec.dim

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised [B, 3, H, W] -> [B, E]"""
        found = self.backbone(pixels)
        features = found[0] if isinstance(found, list) else found
        pooled: Tensor = self.pool(features)
        return pooled


def _with_own_token(spec: ImageSpec, input_size: tuple[int, int]) -> tuple[nn.Module, int]:
    """A ViT that ends in its class token, after its last norm."""
    import timm

    if not timm.is_model(spec.backbone.name):
        raise ValueError(f"no backbone is named {spec.backbone.name!r}")
    network: Any = timm.create_model(
        spec.backbone.name,
        pretrained=spec.backbone.pretrained,
        num_classes=0,
        **{"img_size": input_size, "global_pool": "token", **spec.backbone.kwargs},
    )
    return network, network.num_features


def _last_stride(spec: ImageSpec) -> int:
    import timm

    if not timm.is_model(spec.backbone.name):
        raise ValueError(f"no backbone is named {spec.backbone.name!r}")
    probe: Any = timm.create_model(spec.backbone.name, features_only=True, **spec.backbone.kwargs)
    return int(probe.feature_info.reduction()[-1])


def _probe(backbone: Backbone, input_size: tuple[int, int]) -> tuple[int, int]:
    """Channels and cells of the map for an input of this size."""
    training = backbone.training
    with torch.no_grad():
        feature = backbone.eval()(torch.zeros(1, 3, *input_size))[0]
    backbone.train(training)
    return feature.shape[1], feature.shape[2] * feature.shape[3]
