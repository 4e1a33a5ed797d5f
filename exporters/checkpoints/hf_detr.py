"""Hugging Face's `DetrForObjectDetection`, such as `facebook/detr-resnet-50`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from exporters.checkpoints.classes import Classes
from exporters.checkpoints.files import Weights
from exporters.checkpoints.names import Rule, find, rename
from exporters.checkpoints.resnet import name_resnet, unfreeze_batchnorm
from models.backbones.spec import BackboneSpec
from models.detection.detr.spec import DETRSpec

LAYOUT: Final = "hf-detr"

#: No tensor tells into how many heads the width is cut; the published ones agree.
HEADS: Final = 8

_ATTENTION: Final = (
    ("self_attn", "self_attention"),
    ("encoder_attn", "cross_attention"),
)
_KIND: Final = r"\.(weight|bias)"
# Version 5 of transformers has a name of its own for some, which it undoes when it saves.
_RULES: Final[tuple[Rule, ...]] = (
    (r"model\.backbone\.(?:conv_encoder\.)?model\.(.*)", r"backbone.body.\1"),
    (rf"model\.input_projection{_KIND}", r"projection.\1"),
    (r"model\.query_position_embeddings\.weight", "queries"),
    (rf"model\.decoder\.layernorm{_KIND}", r"transformer.norm.\1"),
    *(
        rule
        for theirs, ours in _ATTENTION
        for rule in (
            (
                rf"model\.(encoder|decoder)\.layers\.(\d+)\.{theirs}\.([qkv])_proj{_KIND}",
                rf"transformer.\1.\2.{ours}.\3_proj.\4",
            ),
            (
                rf"model\.(encoder|decoder)\.layers\.(\d+)\.{theirs}\.(?:out|o)_proj{_KIND}",
                rf"transformer.\1.\2.{ours}.out_proj.\3",
            ),
            (
                rf"model\.(encoder|decoder)\.layers\.(\d+)\.{theirs}_layer_norm{_KIND}",
                rf"transformer.\1.\2.{ours}_norm.\3",
            ),
        )
    ),
    (
        rf"model\.(encoder|decoder)\.layers\.(\d+)\.(?:mlp\.)?(fc[12]){_KIND}",
        r"transformer.\1.\2.feedforward.\3.\4",
    ),
    (
        rf"model\.(encoder|decoder)\.layers\.(\d+)\.final_layer_norm{_KIND}",
        r"transformer.\1.\2.feedforward_norm.\3",
    ),
    (rf"class_labels_classifier{_KIND}", r"classes.\1"),
    *((rf"bbox_predictor\.layers\.{i}{_KIND}", rf"boxes.{2 * i}.\1") for i in range(3)),
)


def read_hf_detr(
    weights: Weights, classes: Classes, size: tuple[int, int], *, batchnorm_eps: float
) -> tuple[DETRSpec, Weights]:
    """The spec, and the weights by our names: classes without a label come after the others."""
    renamed = rename(weights, _RULES, layout=LAYOUT)
    count = find(renamed, "classes.weight", layout=LAYOUT).shape[0] - 1  # ∅ is the last
    classes = classes.fitted(count, background_first=False)
    order = [*classes.named, *classes.unnamed, count]
    for kind in ("weight", "bias"):
        renamed[f"classes.{kind}"] = find(renamed, f"classes.{kind}", layout=LAYOUT)[order]
    queries = find(renamed, "queries", layout=LAYOUT)
    inner = find(renamed, "transformer.decoder.0.feedforward.fc1.weight", layout=LAYOUT)
    spec = DETRSpec(
        labels=classes.labels,
        backbone=BackboneSpec(name_resnet(renamed, "backbone.body.")),
        input_size=size,
        width=queries.shape[1],
        heads=HEADS,
        encoder_layers=_layers("encoder", renamed),
        decoder_layers=_layers("decoder", renamed),
        feedforward=inner.shape[0],
        queries=queries.shape[0],
        unnamed_classes=len(classes.unnamed),
    )
    return spec, unfreeze_batchnorm(renamed, eps=batchnorm_eps)


def _layers(part: str, names: Iterable[str]) -> int:
    found = (re.match(rf"transformer\.{part}\.(\d+)\.", name) for name in names)
    return len({match[1] for match in found if match})
