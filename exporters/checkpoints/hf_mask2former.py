"""Hugging Face's `Mask2FormerForUniversalSegmentation`, with a ResNet or a Swin."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from exporters.checkpoints.files import Weights
from exporters.checkpoints.hf_swin import SWIN_RULES, describe_swin, join_swin
from exporters.checkpoints.names import Rule, check_fit, find, rename
from exporters.checkpoints.resnet import name_resnet
from exporters.checkpoints.segment_classes import SegmentClasses
from exporters.errors import CheckpointError
from models.backbones import BackboneSpec
from models.segmentation import Segmenter, SegmenterSpec
from models.segmentation.spec import LEVEL_STRIDES

LAYOUT: Final = "hf-mask2former"

#: No tensor tells how many points a head reads of each map, or how groups are normalised; the
#: library has them written into its code.
POINTS: Final = 4
GROUPS: Final = 32

_KIND: Final = r"\.(weight|bias)"
_BODY: Final = "backbone.body."
_ENCODER: Final = r"model\.pixel_level_module\.encoder\."
_PIXELS: Final = r"model\.pixel_level_module\.decoder\."
_QUERIES: Final = r"model\.transformer_module\."
_STATISTICS: Final = r"\.(weight|bias|running_mean|running_var|num_batches_tracked)"
_STAGE: Final = rf"{_ENCODER}encoder\.stages\.(\d+)\.layers\.(\d+)\."

_RESNET: Final[tuple[Rule, ...]] = (
    (rf"{_ENCODER}embedder\.embedder\.convolution\.weight", rf"{_BODY}conv1.weight"),
    (rf"{_ENCODER}embedder\.embedder\.normalization{_STATISTICS}", rf"{_BODY}bn1.\1"),
    (rf"{_STAGE}layer\.(\d+)\.convolution\.weight", rf"{_BODY}layer\1.\2.conv\3.weight"),
    (rf"{_STAGE}layer\.(\d+)\.normalization{_STATISTICS}", rf"{_BODY}layer\1.\2.bn\3.\4"),
    (rf"{_STAGE}shortcut\.convolution\.weight", rf"{_BODY}layer\1.\2.downsample.0.weight"),
    (
        rf"{_STAGE}shortcut\.normalization{_STATISTICS}",
        rf"{_BODY}layer\1.\2.downsample.1.\3",
    ),
)
_ATTENTION: Final = (
    ("sampling_offsets", "offsets"),
    ("attention_weights", "weights"),
    ("value_proj", "values"),
    ("output_proj", "output"),
)
_RULES: Final[tuple[Rule, ...]] = (
    *_RESNET,
    *((_ENCODER + pattern, target and _BODY + target) for pattern, target in SWIN_RULES),
    (rf"{_ENCODER}hidden_states_norms\.stage(\d){_KIND}", r"map_norms.\1.\2"),
    (rf"{_PIXELS}level_embed", "pixel_decoder.level_embed"),
    (rf"{_PIXELS}input_projections\.(\d)\.([01]){_KIND}", r"pixel_decoder.projections.\1.\2.\3"),
    *(
        (
            rf"{_PIXELS}encoder\.layers\.(\d+)\.self_attn\.{theirs}{_KIND}",
            rf"pixel_decoder.layers.\1.attention.{ours}.\2",
        )
        for theirs, ours in _ATTENTION
    ),
    (
        rf"{_PIXELS}encoder\.layers\.(\d+)\.self_attn_layer_norm{_KIND}",
        r"pixel_decoder.layers.\1.attention_norm.\2",
    ),
    (
        rf"{_PIXELS}encoder\.layers\.(\d+)\.(?:mlp\.)?(fc[12]){_KIND}",
        r"pixel_decoder.layers.\1.\2.\3",
    ),
    (
        rf"{_PIXELS}encoder\.layers\.(\d+)\.final_layer_norm{_KIND}",
        r"pixel_decoder.layers.\1.feedforward_norm.\2",
    ),
    (rf"{_PIXELS}adapter_1\.([01]){_KIND}", r"pixel_decoder.lateral.\1.\2"),
    (rf"{_PIXELS}layer_1\.([01]){_KIND}", r"pixel_decoder.merge.\1.\2"),
    (rf"{_PIXELS}mask_projection{_KIND}", r"pixel_decoder.mask_features.\1"),
    (rf"{_QUERIES}queries_embedder\.weight", "decoder.queries"),
    (rf"{_QUERIES}queries_features\.weight", "decoder.states"),
    (rf"{_QUERIES}level_embed\.weight", "decoder.level_embed"),
    (
        rf"{_QUERIES}decoder\.layers\.(\d+)\.(self|cross)_attn_layer_norm{_KIND}",
        r"decoder.layers.\1.\2_attention_norm.\3",
    ),
    (
        rf"{_QUERIES}decoder\.layers\.(\d+)\.(self|cross)_attn\.(?:out|o)_proj{_KIND}",
        r"decoder.layers.\1.\2_attention.out_proj.\3",
    ),
    (
        rf"{_QUERIES}decoder\.layers\.(\d+)\.self_attn\.([qkv])_proj{_KIND}",
        r"decoder.layers.\1.self_attention.\2_proj.\3",
    ),
    (
        rf"{_QUERIES}decoder\.layers\.(\d+)\.cross_attn\.in_proj_(weight|bias)",
        r"decoder.layers.\1.cross_attention.all_proj.\2",
    ),
    (
        rf"{_QUERIES}decoder\.layers\.(\d+)\.(?:mlp\.)?(fc[12]){_KIND}",
        r"decoder.layers.\1.\2.\3",
    ),
    (
        rf"{_QUERIES}decoder\.layers\.(\d+)\.final_layer_norm{_KIND}",
        r"decoder.layers.\1.feedforward_norm.\2",
    ),
    (rf"{_QUERIES}decoder\.layernorm{_KIND}", r"decoder.norm.\1"),
    *(
        (
            rf"{_QUERIES}decoder\.mask_predictor\.mask_embedder\.{i}\.0{_KIND}",
            rf"decoder.masks.{2 * i}.\1",
        )
        for i in range(3)
    ),
    (rf"class_predictor{_KIND}", r"decoder.classes.\1"),
    (r"criterion\..*", ""),
)


def convert_segmenter(
    weights: Weights, classes: SegmentClasses, *, size: tuple[int, int]
) -> tuple[Segmenter, SegmenterSpec]:
    """The segmenter in evaluation mode, with these weights, for inputs of `size` (H, W).

    CheckpointError where the weights are not of that layout, or do not know as many classes.
    """
    _check_size(size, 32)
    spec, ours = read_hf_mask2former(weights, classes, size)
    # timm shifts windows before it pads, and this library after: they agree where none is padded.
    _check_size(size, 32 * spec.backbone.kwargs.get("window_size", 1))
    network = Segmenter(spec)
    check_fit(network.state_dict(), ours, layout=LAYOUT)
    network.load_state_dict(ours)
    return network.eval().requires_grad_(False), spec


def read_hf_mask2former(
    weights: Weights, classes: SegmentClasses, size: tuple[int, int]
) -> tuple[SegmenterSpec, Weights]:
    """The spec, and the weights by our names."""
    renamed = rename(weights, _RULES, layout=LAYOUT)
    is_swin = f"{_BODY}patch_embed.proj.weight" in renamed
    renamed = join_swin(renamed, _BODY) if is_swin else _count_from_one(renamed)
    ours = _split_attention({_from_zero(name): tensor for name, tensor in renamed.items()})
    count = find(ours, "decoder.classes.weight", layout=LAYOUT).shape[0] - 1  # ∅ is the last
    if count != len(classes.labels):
        raise CheckpointError(
            f"the checkpoint knows {count} classes, and {len(classes.labels)} are named"
        )
    first = "layers.0."
    offsets = find(ours, f"pixel_decoder.{first}attention.offsets.weight", layout=LAYOUT)
    queries = find(ours, "decoder.queries", layout=LAYOUT)
    spec = SegmenterSpec(
        labels=classes.labels,
        is_thing=classes.is_thing,
        backbone=describe_swin(ours, _BODY, layout=LAYOUT)
        if is_swin
        else BackboneSpec(name_resnet(ours, _BODY)),
        input_size=size,
        normed_maps=is_swin,
        width=queries.shape[1],
        mask_width=find(ours, "pixel_decoder.mask_features.weight", layout=LAYOUT).shape[0],
        heads=offsets.shape[0] // (len(LEVEL_STRIDES) * POINTS * 2),
        points=POINTS,
        norm_groups=GROUPS,
        encoder_layers=_layers("pixel_decoder", ours),
        encoder_feedforward=find(ours, f"pixel_decoder.{first}fc1.weight", layout=LAYOUT).shape[0],
        decoder_layers=_layers("decoder", ours),
        decoder_feedforward=find(ours, f"decoder.{first}fc1.weight", layout=LAYOUT).shape[0],
        queries=queries.shape[0],
    )
    return spec, ours


def _check_size(size: tuple[int, int], multiple: int) -> None:
    if any(side < multiple or side % multiple for side in size):
        raise CheckpointError(f"the sides must divide by {multiple}: {size[0]}x{size[1]}")


def _count_from_one(weights: Weights) -> Weights:
    """timm counts a ResNet's stages and the layers of a block from one."""

    def renumbered(name: str) -> str:
        name = re.sub(r"body\.layer(\d+)\.", lambda m: f"body.layer{int(m[1]) + 1}.", name)
        return re.sub(
            r"(body\.layer\d+\.\d+\.)(conv|bn)(\d)",
            lambda m: f"{m[1]}{m[2]}{int(m[3]) + 1}",
            name,
        )

    return {renumbered(name): tensor for name, tensor in weights.items()}


def _from_zero(name: str) -> str:
    """The first map's norm is 0 here, and that of stage 1 there."""
    return re.sub(r"^map_norms\.(\d)", lambda m: f"map_norms.{int(m[1]) - 1}", name)


def _split_attention(weights: Weights) -> Weights:
    """Queries, keys and values in three matrices instead of one."""
    split: Weights = {}
    for name, tensor in weights.items():
        if "all_proj" in name:
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                split[name.replace("all_proj", f"{part}_proj")] = third
        else:
            split[name] = tensor
    return split


def _layers(part: str, names: Iterable[str]) -> int:
    found = (re.match(rf"{part}\.layers\.(\d+)\.", name) for name in names)
    return len({match[1] for match in found if match})
