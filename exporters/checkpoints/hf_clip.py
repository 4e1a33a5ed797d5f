"""Hugging Face's `CLIPModel`, such as `openai/clip-vit-base-patch32`."""

from __future__ import annotations

from typing import Final

from exporters.checkpoints.clip_shapes import KIND, ClipHints, pack_attention, read_spec
from exporters.checkpoints.files import Weights
from exporters.checkpoints.names import Rule, rename
from models.clip import ClipSpec

LAYOUT: Final = "hf-clip"

_RULES: Final[tuple[Rule, ...]] = (
    (r"(?:text|vision)_model\.embeddings\.position_ids", ""),
    (r"text_model\.embeddings\.token_embedding\.weight", "text.tokens.weight"),
    (r"text_model\.embeddings\.position_embedding\.weight", "text.positions"),
    (rf"text_model\.encoder\.layers\.(\d+)\.layer_norm([12]){KIND}", r"text.layers.\1.norm\2.\3"),
    (
        rf"text_model\.encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj{KIND}",
        r"text.layers.\1.attention.\2.\3",
    ),
    (
        rf"text_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj{KIND}",
        r"text.layers.\1.attention.out.\2",
    ),
    (rf"text_model\.encoder\.layers\.(\d+)\.mlp\.fc1{KIND}", r"text.layers.\1.mlp.0.\2"),
    (rf"text_model\.encoder\.layers\.(\d+)\.mlp\.fc2{KIND}", r"text.layers.\1.mlp.2.\2"),
    (rf"text_model\.final_layer_norm{KIND}", r"text.norm.\1"),
    (r"vision_model\.embeddings\.class_embedding", "image.backbone.cls_token"),
    (r"vision_model\.embeddings\.position_embedding\.weight", "image.backbone.pos_embed"),
    (
        r"vision_model\.embeddings\.patch_embedding\.weight",
        "image.backbone.patch_embed.proj.weight",
    ),
    # The name is misspelt in the library.
    (rf"vision_model\.pre_layrnorm{KIND}", r"image.backbone.norm_pre.\1"),
    (
        rf"vision_model\.encoder\.layers\.(\d+)\.layer_norm([12]){KIND}",
        r"image.backbone.blocks.\1.norm\2.\3",
    ),
    (
        rf"vision_model\.encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj{KIND}",
        r"image.backbone.blocks.\1.attn.\2.\3",
    ),
    (
        rf"vision_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj{KIND}",
        r"image.backbone.blocks.\1.attn.proj.\2",
    ),
    (
        rf"vision_model\.encoder\.layers\.(\d+)\.mlp\.(fc[12]){KIND}",
        r"image.backbone.blocks.\1.mlp.\2.\3",
    ),
    (rf"vision_model\.post_layernorm{KIND}", r"image.backbone.norm.\1"),
    (r"visual_projection\.weight", "image_projection.weight"),
    (r"text_projection\.weight", "text_projection.weight"),
    (r"logit_scale", "log_scale"),
)


def read_hf_clip(weights: Weights, hints: ClipHints) -> tuple[ClipSpec, Weights]:
    """The spec, and the weights by our names."""
    renamed = pack_attention(rename(weights, _RULES, layout=LAYOUT))
    return read_spec(renamed, hints, layout=LAYOUT)
