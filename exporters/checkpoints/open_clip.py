"""open_clip's `CLIP`, and OpenAI's own state dicts, whose names it keeps."""

from __future__ import annotations

from typing import Final

from exporters.checkpoints.clip_shapes import KIND, ClipHints, read_spec
from exporters.checkpoints.files import Weights
from exporters.checkpoints.names import Rule, rename
from models.clip import ClipSpec

LAYOUT: Final = "open-clip"

_PACKED: Final = r"\.attn\.in_proj_(weight|bias)"
_RULES: Final[tuple[Rule, ...]] = (
    # OpenAI's archives also hold three numbers that only their loader reads.
    (r"input_resolution|context_length|vocab_size|(?:.*\.)?attn_mask", ""),
    (r"token_embedding\.weight", "text.tokens.weight"),
    (r"positional_embedding", "text.positions"),
    (rf"transformer\.resblocks\.(\d+)\.ln_([12]){KIND}", r"text.layers.\1.norm\2.\3"),
    (rf"transformer\.resblocks\.(\d+){_PACKED}", r"text.layers.\1.attention.qkv.\2"),
    (rf"transformer\.resblocks\.(\d+)\.attn\.out_proj{KIND}", r"text.layers.\1.attention.out.\2"),
    (rf"transformer\.resblocks\.(\d+)\.mlp\.c_fc{KIND}", r"text.layers.\1.mlp.0.\2"),
    (rf"transformer\.resblocks\.(\d+)\.mlp\.c_proj{KIND}", r"text.layers.\1.mlp.2.\2"),
    (rf"ln_final{KIND}", r"text.norm.\1"),
    (r"visual\.class_embedding", "image.backbone.cls_token"),
    (r"visual\.positional_embedding", "image.backbone.pos_embed"),
    (r"visual\.conv1\.weight", "image.backbone.patch_embed.proj.weight"),
    (rf"visual\.ln_pre{KIND}", r"image.backbone.norm_pre.\1"),
    (
        rf"visual\.transformer\.resblocks\.(\d+)\.ln_([12]){KIND}",
        r"image.backbone.blocks.\1.norm\2.\3",
    ),
    (
        rf"visual\.transformer\.resblocks\.(\d+){_PACKED}",
        r"image.backbone.blocks.\1.attn.qkv.\2",
    ),
    (
        rf"visual\.transformer\.resblocks\.(\d+)\.attn\.out_proj{KIND}",
        r"image.backbone.blocks.\1.attn.proj.\2",
    ),
    (
        rf"visual\.transformer\.resblocks\.(\d+)\.mlp\.c_fc{KIND}",
        r"image.backbone.blocks.\1.mlp.fc1.\2",
    ),
    (
        rf"visual\.transformer\.resblocks\.(\d+)\.mlp\.c_proj{KIND}",
        r"image.backbone.blocks.\1.mlp.fc2.\2",
    ),
    (rf"visual\.ln_post{KIND}", r"image.backbone.norm.\1"),
    (r"visual\.proj", "image_projection.weight"),
    (r"text_projection", "text_projection.weight"),
    (r"logit_scale", "log_scale"),
)

#: Stored the other way round: they stand right of what they project.
_TRANSPOSED: Final = ("image_projection.weight", "text_projection.weight")


def read_open_clip(weights: Weights, hints: ClipHints) -> tuple[ClipSpec, Weights]:
    """The spec, and the weights by our names."""
    renamed = rename(weights, _RULES, layout=LAYOUT)
    renamed |= {name: renamed[name].T for name in _TRANSPOSED if name in renamed}
    return read_spec(renamed, hints, layout=LAYOUT)
