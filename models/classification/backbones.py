"""Backbones by name, from timm and torchvision, shaped so that they export cleanly."""

import difflib
from typing import Any

from torch import Tensor, nn

TORCHVISION_NAMES = ("alexnet", "googlenet")


class MeanPool(nn.Module):
    """The mean over height and width.

    timm's adaptive pooling becomes `as_strided` arithmetic in an ONNX graph; a mean stays a mean.
    """

    def __init__(self, *, flatten: bool) -> None:
        super().__init__()
        self.keepdim = not flatten

    def forward(self, features: Tensor) -> Tensor:
        """[B, D, h, w] -> [B, D], or [B, D, 1, 1] where the layers after it are convolutions."""
        return features.mean((2, 3), keepdim=self.keepdim)


def build_backbone(
    name: str, classes: int, kwargs: dict[str, Any], *, auxiliary_heads: bool = False
) -> nn.Module:
    """A network from normalised `[B, 3, H, W]` to logits `[B, C]`, with random weights.

    `auxiliary_heads` keeps GoogLeNet's two side classifiers, which only training reads: its
    training-mode output is then torchvision's named tuple of three logits.
    """
    if name in TORCHVISION_NAMES:
        return _torchvision_backbone(name, classes, kwargs, auxiliary_heads)
    import timm

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=6)
        raise ValueError(f"no backbone is named {name!r}; near it: {near}")
    network: nn.Module = timm.create_model(name, num_classes=classes, **kwargs)
    _replace_pooling(network)
    return network


def _torchvision_backbone(
    name: str, classes: int, kwargs: dict[str, Any], auxiliary_heads: bool
) -> nn.Module:
    from torchvision import models

    if name == "alexnet":
        network: nn.Module = models.alexnet(num_classes=classes, **kwargs)
    else:
        network = models.googlenet(
            num_classes=classes, aux_logits=auxiliary_heads, init_weights=True, **kwargs
        )
    return network


def _replace_pooling(network: nn.Module) -> None:

    from timm.layers.adaptive_avgmax_pool import FastAdaptiveAvgPool, SelectAdaptivePool2d

    for module in list(network.modules()):
        for child_name, child in module.named_children():
            if not isinstance(child, SelectAdaptivePool2d):
                continue
            pool = child.pool
            if isinstance(pool, FastAdaptiveAvgPool) and pool.dim == (2, 3):
                setattr(module, child_name, MeanPool(flatten=pool.flatten))
            elif isinstance(pool, nn.AdaptiveAvgPool2d) and pool.output_size == 1:
                flatten = isinstance(child.flatten, nn.Flatten)
                setattr(module, child_name, MeanPool(flatten=flatten))
