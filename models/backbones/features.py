"""Feature maps of several strides, from timm's networks."""

import difflib
from typing import Any

from torch import Tensor, nn

from models.backbones.spec import BackboneSpec

# Legend: B batch, D channels, h w cells of a feature map.


class Backbone(nn.Module):
    """Normalised pixels [B, 3, H, W] -> one map [B, D, h, w] for each of `strides`, finest first.

    `channels` holds the D of each.
    """

    def __init__(self, spec: BackboneSpec, strides: tuple[int, ...]) -> None:
        super().__init__()
        import timm

        if not timm.is_model(spec.name):
            near = difflib.get_close_matches(spec.name, timm.list_models(), n=6)
            raise ValueError(f"no backbone is named {spec.name!r}; near it: {near}")
        probe: Any = timm.create_model(spec.name, features_only=True, **spec.kwargs)
        reductions: list[int] = probe.feature_info.reduction()
        if missing := set(strides) - set(reductions):
            raise ValueError(f"{spec.name} has no maps of stride {sorted(missing)}: {reductions}")
        body: Any = timm.create_model(
            spec.name,
            features_only=True,
            out_indices=tuple(reductions.index(stride) for stride in strides),
            pretrained=spec.pretrained,
            **spec.kwargs,
        )
        self.body: nn.Module = body
        self.channels: tuple[int, ...] = tuple(body.feature_info.channels())

    def forward(self, pixels: Tensor) -> list[Tensor]:
        features: list[Tensor] = self.body(pixels)
        if self.body.output_fmt == "NHWC":  # of transformers
            features = [x.movedim(3, 1) for x in features]
        return features
