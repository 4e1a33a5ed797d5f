"""What the tensors of a published CLIP say of its shape, once they have our names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import torch

from exporters.checkpoints.files import Weights
from exporters.checkpoints.names import find
from exporters.errors import CheckpointError
from models.backbones.spec import BackboneSpec
from models.clip import ClipSpec, ImageSpec, TextSpec
from models.clip.spec import Activation

KIND: Final = r"\.(weight|bias)"

#: timm's ViT as CLIP has it: no bias on the patches, a norm before the first block, ε = 1e-5.
BACKBONE: Final = "vit_base_patch32_clip_224"

#: Every head of OpenAI's networks is so wide, and of all that follow their sizes.
HEAD_WIDTH: Final = 64

_PACKED: Final = re.compile(r"(.*\.(?:attention|attn))\.q\.(weight|bias)")


@dataclass(frozen=True)
class ClipHints:
    """What no tensor tells: the activation, the heads where they are not 64 wide, the ids."""

    activation: Activation
    bos_id: int
    eos_id: int
    text_heads: int | None = None
    image_heads: int | None = None


def read_spec(weights: Weights, hints: ClipHints, *, layout: str) -> tuple[ClipSpec, Weights]:
    """The spec of weights by our names, and these in the shapes that ours have."""
    tokens = find(weights, "text.tokens.weight", layout=layout)
    positions = find(weights, "text.positions", layout=layout)
    patches = find(weights, "image.backbone.patch_embed.proj.weight", layout=layout)
    cells = find(weights, "image.backbone.pos_embed", layout=layout).shape[0] - 1
    side = math.isqrt(cells)
    if side**2 != cells:
        raise CheckpointError(f"{layout}: {cells} positions are no square of patches")
    vocabulary, text_dim = tokens.shape
    image_dim, patch_px = patches.shape[0], patches.shape[2]
    size = side * patch_px
    blocks = _count(r"image\.backbone\.blocks\.(\d+)\.", weights)
    image_mlp = find(weights, "image.backbone.blocks.0.mlp.fc1.weight", layout=layout).shape[0]
    text_mlp = find(weights, "text.layers.0.mlp.0.weight", layout=layout).shape[0]
    spec = ClipSpec(
        image=ImageSpec(
            backbone=BackboneSpec(
                BACKBONE,
                {
                    "patch_size": patch_px,
                    "embed_dim": image_dim,
                    "depth": blocks,
                    "num_heads": hints.image_heads or _heads(image_dim, layout),
                    "mlp_ratio": image_mlp / image_dim,
                    "act_layer": hints.activation,
                },
            )
        ),
        text=TextSpec(
            vocabulary=vocabulary,
            length=positions.shape[0],
            dim=text_dim,
            layers=_count(r"text\.layers\.(\d+)\.", weights),
            heads=hints.text_heads or _heads(text_dim, layout),
            mlp_ratio=text_mlp / text_dim,
            activation=hints.activation,
            bos_id=hints.bos_id,
            eos_id=hints.eos_id,
        ),
        embed_dim=find(weights, "image_projection.weight", layout=layout).shape[0],
        input_size=(size, size),
    )
    shaped = {
        "image.backbone.cls_token": (1, 1, image_dim),
        "image.backbone.pos_embed": (1, cells + 1, image_dim),
        "log_scale": (),
    }
    reshaped = {name: find(weights, name, layout=layout).reshape(s) for name, s in shaped.items()}
    return spec, {name: tensor.float() for name, tensor in (weights | reshaped).items()}


def pack_attention(weights: Weights) -> Weights:
    """Queries, keys and values, each with a tensor of its own, as one."""
    packed: Weights = {}
    for name, tensor in weights.items():
        if found := _PACKED.fullmatch(name):
            place, kind = found[1], found[2]
            others = [f"{place}.{part}.{kind}" for part in "kv"]
            if missing := [other for other in others if other not in weights]:
                raise CheckpointError(f"the file has {name}, but lacks {', '.join(missing)}")
            packed[f"{place}.qkv.{kind}"] = torch.cat([tensor, *(weights[o] for o in others)])
        elif not re.fullmatch(r".*\.(?:attention|attn)\.[kv]\.(?:weight|bias)", name):
            packed[name] = tensor
    return packed


def _heads(dim: int, layout: str) -> int:
    if dim % HEAD_WIDTH:
        raise CheckpointError(
            f"{layout}: {dim} does not divide into heads of {HEAD_WIDTH}; a config.json beside the "
            "weights would say how many there are"
        )
    return dim // HEAD_WIDTH


def _count(pattern: str, names: Iterable[str]) -> int:
    found = (re.match(pattern, name) for name in names)
    return len({match[1] for match in found if match})
