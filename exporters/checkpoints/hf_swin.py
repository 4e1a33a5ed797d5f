"""Hugging Face's Swin transformers as timm's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isqrt
from typing import Final

import torch

from exporters.checkpoints.files import Weights
from exporters.checkpoints.names import Rule, find
from models.backbones import BackboneSpec

#: Any of timm's Swins: the figures of the one that is meant replace its own.
TIMM_NAME: Final = "swin_tiny_patch4_window7_224"

_KIND: Final = r"\.(weight|bias)"
_BLOCK: Final = r"(?:swin\.)?encoder\.layers\.(\d+)\.blocks\.(\d+)\."
_OURS: Final = r"layers_\1.blocks.\2."

#: From names as they are published, or as version 5 of transformers has them in memory. The parts
#: of a block's attention keep apart until `join_attention`; a merger belongs to the next stage
#: until `move_mergers`.
SWIN_RULES: Final[tuple[Rule, ...]] = (
    (
        rf"(?:swin\.)?embeddings\.patch_embeddings\.projection{_KIND}",
        r"patch_embed.proj.\1",
    ),
    (rf"(?:swin\.)?embeddings\.norm{_KIND}", r"patch_embed.norm.\1"),
    (rf"{_BLOCK}layernorm_before{_KIND}", rf"{_OURS}norm1.\3"),
    (rf"{_BLOCK}layernorm_after{_KIND}", rf"{_OURS}norm2.\3"),
    *(
        (rf"{_BLOCK}attention\.(?:self\.{long}|{short}_proj){_KIND}", rf"{_OURS}attn.{short}.\3")
        for long, short in (("query", "q"), ("key", "k"), ("value", "v"))
    ),
    (
        rf"{_BLOCK}attention\.(?:self|relative_position_bias)\.relative_position_bias_table",
        rf"{_OURS}attn.relative_position_bias_table",
    ),
    (rf"{_BLOCK}attention\.(?:self|relative_position_bias)\.relative_position_index", ""),
    (rf"{_BLOCK}attention\.(?:output\.dense|o_proj){_KIND}", rf"{_OURS}attn.proj.\3"),
    (rf"{_BLOCK}(?:intermediate\.dense|mlp\.fc1){_KIND}", rf"{_OURS}mlp.fc1.\3"),
    (rf"{_BLOCK}(?:output\.dense|mlp\.fc2){_KIND}", rf"{_OURS}mlp.fc2.\3"),
    (
        rf"(?:swin\.)?encoder\.layers\.(\d+)\.downsample\.(norm|reduction){_KIND}",
        r"layers_\1.merger.\2.\3",
    ),
    (rf"(?:swin\.)?layernorm{_KIND}", ""),  # of the whole network: no map has it
)


def join_swin(weights: Weights, prefix: str) -> Weights:
    """Queries, keys and values of a block as one matrix, and mergers in front of their stage."""
    joined: Weights = {}
    for name, tensor in weights.items():
        if found := re.fullmatch(
            rf"({re.escape(prefix)}layers_\d+\.blocks\.\d+\.attn\.)q\.(\w+)", name
        ):
            parts = [weights[f"{found[1]}{part}.{found[2]}"] for part in "qkv"]
            joined[f"{found[1]}qkv.{found[2]}"] = torch.cat(parts)
        elif found := re.fullmatch(rf"{re.escape(prefix)}layers_(\d+)\.merger\.(.*)", name):
            joined[f"{prefix}layers_{int(found[1]) + 1}.downsample.{found[2]}"] = tensor
        elif not re.fullmatch(rf"{re.escape(prefix)}layers_\d+\.blocks\.\d+\.attn\.[kv]\..*", name):
            joined[name] = tensor
    return joined


def describe_swin(weights: Weights, prefix: str, *, layout: str) -> BackboneSpec:
    """The figures of the Swin whose tensors, by timm's names, begin with `prefix`."""
    depths: list[int] = []
    while count := _blocks(weights, f"{prefix}layers_{len(depths)}.blocks."):
        depths.append(count)
    tables = [
        find(
            weights,
            f"{prefix}layers_{stage}.blocks.0.attn.relative_position_bias_table",
            layout=layout,
        )
        for stage in range(len(depths))
    ]
    patches = find(weights, f"{prefix}patch_embed.proj.weight", layout=layout)
    return BackboneSpec(
        TIMM_NAME,
        {
            "embed_dim": patches.shape[0],
            "depths": depths,
            "num_heads": [table.shape[1] for table in tables],
            "window_size": (isqrt(tables[0].shape[0]) + 1) // 2,
            # As Hugging Face's: windows are shifted however few there are, and any size goes.
            "always_partition": True,
            "strict_img_size": False,
        },
    )


def _blocks(names: Iterable[str], prefix: str) -> int:
    return len(
        {name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)}
    )
