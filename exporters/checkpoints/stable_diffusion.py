"""Stable Diffusion 1.x in the folders of diffusers, such as `sd-legacy/stable-diffusion-v1-5`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from exporters.checkpoints.clip_shapes import pack_attention
from exporters.checkpoints.clip_tokenizer import read_tokenizer
from exporters.checkpoints.files import Weights, read_weights
from exporters.checkpoints.names import Rule, check_fit, find, rename
from exporters.errors import CheckpointError
from models.clip import TextSpec
from models.clip.tokenizing import special_ids
from models.diffusion import AutoencoderSpec, NoiseSpec, Painter, PainterSpec, UNetSpec

LAYOUT: Final = "stable-diffusion-1"

_KIND: Final = r"\.(weight|bias)"
_PROJECTIONS: Final = (
    ("query", r"(?:to_q|query)"),
    ("key", r"(?:to_k|key)"),
    ("value", r"(?:to_v|value)"),
    ("out", r"(?:to_out\.0|proj_attn)"),
)

_AUTOENCODER_RULES: Final[tuple[Rule, ...]] = (
    (rf"quant_conv{_KIND}", r"to_moments.\1"),
    (rf"post_quant_conv{_KIND}", r"from_latents.\1"),
    (rf"(encoder|decoder)\.conv_in{_KIND}", r"\1.stem.\2"),
    (rf"(encoder|decoder)\.conv_norm_out{_KIND}", r"\1.norm.\2"),
    (rf"(encoder|decoder)\.conv_out{_KIND}", r"\1.head.\2"),
    (r"(encoder|decoder)\.(?:down|up)_blocks\.(\d+)\.resnets\.(\d+)\.(.*)", r"\1.levels.\2.\3.\4"),
    (
        rf"(encoder|decoder)\.(?:down|up)_blocks\.(\d+)\.(?:down|up)samplers\.0\.conv{_KIND}",
        r"\1.levels.\2.last.conv.\3",
    ),
    (r"(encoder|decoder)\.mid_block\.resnets\.0\.(.*)", r"\1.middle.0.\2"),
    (r"(encoder|decoder)\.mid_block\.resnets\.1\.(.*)", r"\1.middle.2.\2"),
    (rf"(encoder|decoder)\.mid_block\.attentions\.0\.group_norm{_KIND}", r"\1.middle.1.norm.\2"),
    *(
        (
            rf"(encoder|decoder)\.mid_block\.attentions\.0\.{theirs}{_KIND}",
            rf"\1.middle.1.attention.{ours}.\2",
        )
        for ours, theirs in _PROJECTIONS
    ),
)

_PLACE: Final = r"(down|mid|up)_block(?:s\.(\d+))?"
_UNET_RULES: Final[tuple[Rule, ...]] = (
    (rf"time_embedding\.linear_1{_KIND}", r"time.inner.\1"),
    (rf"time_embedding\.linear_2{_KIND}", r"time.outer.\1"),
    (rf"conv_in{_KIND}", r"stem.\1"),
    (rf"conv_norm_out{_KIND}", r"norm.\1"),
    (rf"conv_out{_KIND}", r"head.\1"),
    (r"(down|up)_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.*)", r"\1.\2.\4.\3.\5"),
    (r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", r"middle.\2.\1.\3"),
    (
        rf"(down|up)_blocks\.(\d+)\.(?:down|up)samplers\.0\.conv{_KIND}",
        r"\1.\2.last.conv.\3",
    ),
)
#: Of what stands in a unit of the noise network, once the unit has its place.
_UNIT_RULES: Final[tuple[Rule, ...]] = (
    (r"(.*)\.attentions\.(norm\..*)", r"\1.attention.\2"),
    (r"(.*)\.attentions\.proj_in\.(.*)", r"\1.attention.enter.\2"),
    (r"(.*)\.attentions\.proj_out\.(.*)", r"\1.attention.leave.\2"),
    (r"(.*)\.attentions\.transformer_blocks\.0\.(norm[123]\..*)", r"\1.attention.\2"),
    *(
        (
            rf"(.*)\.attentions\.transformer_blocks\.0\.{attention}\.{theirs}{_KIND}",
            rf"\1.attention.{target}.{ours}.\2",
        )
        for attention, target in (("attn1", "to_self"), ("attn2", "to_text"))
        for ours, theirs in _PROJECTIONS
    ),
    (
        r"(.*)\.attentions\.transformer_blocks\.0\.ff\.net\.0\.proj\.(.*)",
        r"\1.attention.feed_forward.inner.\2",
    ),
    (
        r"(.*)\.attentions\.transformer_blocks\.0\.ff\.net\.2\.(.*)",
        r"\1.attention.feed_forward.outer.\2",
    ),
    (r"(.*)\.resnets\.(.*)", r"\1.block.\2"),
    (r"((?:time|stem|norm|head)\..*|(?:down|up)\.\d+\.last\..*)", r"\1"),
)
_BLOCK_RULES: Final[tuple[Rule, ...]] = (
    (r"(.*)\.conv_shortcut\.(.*)", r"\1.skip.\2"),
    (r"(.*)\.time_emb_proj\.(.*)", r"\1.time.\2"),
    (r"(.*)", r"\1"),
)
_TEXT: Final = r"(?:text_model\.)?"
_TEXT_RULES: Final[tuple[Rule, ...]] = (
    (rf"{_TEXT}embeddings\.position_ids", ""),
    (rf"{_TEXT}embeddings\.token_embedding\.weight", "tokens.weight"),
    (rf"{_TEXT}embeddings\.position_embedding\.weight", "positions"),
    (rf"{_TEXT}encoder\.layers\.(\d+)\.layer_norm([12]){_KIND}", r"layers.\1.norm\2.\3"),
    (
        rf"{_TEXT}encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj{_KIND}",
        r"layers.\1.attention.\2.\3",
    ),
    (
        rf"{_TEXT}encoder\.layers\.(\d+)\.self_attn\.out_proj{_KIND}",
        r"layers.\1.attention.out.\2",
    ),
    (rf"{_TEXT}encoder\.layers\.(\d+)\.mlp\.fc1{_KIND}", r"layers.\1.mlp.0.\2"),
    (rf"{_TEXT}encoder\.layers\.(\d+)\.mlp\.fc2{_KIND}", r"layers.\1.mlp.2.\2"),
    (rf"{_TEXT}final_layer_norm{_KIND}", r"norm.\1"),
)

_SCHEDULES: Final = {
    "linear": "linear",
    "scaled_linear": "scaled-linear",
    "squaredcos_cap_v2": "cosine",
}
_PREDICTIONS: Final = {"epsilon": "epsilon", "v_prediction": "v"}

#: What 1.x does not have; a configuration may name it as long as it says no.
_STRANGE: Final = (
    *("class_embed_type", "addition_embed_type", "encoder_hid_dim", "time_embedding_type"),
    *("use_linear_projection", "dual_cross_attention", "only_cross_attention", "num_class_embeds"),
)


def read_stable_diffusion(folder: Path) -> tuple[Painter, PainterSpec, Tokenizer]:
    """The painter in evaluation mode from `unet`, `vae`, `text_encoder`, `tokenizer`, `scheduler`.

    CheckpointError where the folder holds something else.
    """
    unet, unet_weights = _read_unet(folder / "unet")
    autoencoder, autoencoder_weights, scale = _read_autoencoder(folder / "vae")
    text_weights = pack_attention(
        rename(_weights(folder / "text_encoder"), _TEXT_RULES, layout=LAYOUT)
    )
    length = find(text_weights, "positions", layout=LAYOUT).shape[0]
    tokenizer = read_tokenizer(folder / "tokenizer", length)
    text = _text_spec(folder / "text_encoder", text_weights, tokenizer)
    cells = _config(folder / "unet").get("sample_size", 64)
    height, width = (cells, cells) if isinstance(cells, int) else cells
    try:
        spec = PainterSpec(
            autoencoder=autoencoder,
            unet=unet,
            text=text,
            noise=_noise_spec(folder / "scheduler"),
            image_size=(height * autoencoder.stride, width * autoencoder.stride),
            latent_scale=(scale,),
        )
    except ValueError as error:
        raise CheckpointError(f"{folder} does not fit together: {error}") from error
    weights = {
        f"{part}.{name}": tensor.float()
        for part, tensors in (
            ("unet", unet_weights),
            ("autoencoder", autoencoder_weights),
            ("text", text_weights),
        )
        for name, tensor in tensors.items()
    }
    painter = Painter(spec)
    check_fit(painter.state_dict(), weights, layout=LAYOUT)
    painter.load_state_dict(weights)
    return painter.eval().requires_grad_(False), spec, tokenizer


def _read_unet(folder: Path) -> tuple[UNetSpec, Weights]:
    config = _config(folder)
    if strange := [
        name for name in _STRANGE if config.get(name) not in (None, False, "positional")
    ]:
        raise CheckpointError(f"{folder}: {LAYOUT} knows no {', '.join(strange)}")
    channels = tuple(config["block_out_channels"])
    attention = tuple(kind == "CrossAttnDownBlock2D" for kind in config["down_block_types"])
    spec = UNetSpec(
        latent_channels=config["in_channels"],
        channels=channels,
        attention=attention,
        blocks=config["layers_per_block"],
        # What diffusers calls the width of a head is their number (huggingface/diffusers#2011).
        heads=config.get("num_attention_heads") or config["attention_head_dim"],
        context=config["cross_attention_dim"],
        groups=config["norm_num_groups"],
    )
    renamed = _weights(folder)
    for rules in (_UNET_RULES, _UNIT_RULES, _BLOCK_RULES):
        renamed = rename(renamed, rules, layout=LAYOUT)
    return spec, _numbered(renamed, {"down": spec.blocks, "up": spec.blocks + 1})


def _read_autoencoder(folder: Path) -> tuple[AutoencoderSpec, Weights, float]:
    config = _config(folder)
    spec = AutoencoderSpec(
        latent_channels=config["latent_channels"],
        channels=tuple(config["block_out_channels"]),
        blocks=config["layers_per_block"],
        groups=config["norm_num_groups"],
    )
    renamed = _weights(folder)
    for rules in (_AUTOENCODER_RULES, _BLOCK_RULES):
        renamed = rename(renamed, rules, layout=LAYOUT)
    # Older files have 1 x 1 convolutions where there are linear layers now.
    flat = {
        name: tensor.flatten(1) if ".attention." in name and tensor.ndim == 4 else tensor
        for name, tensor in renamed.items()
    }
    numbered = _numbered(flat, {"encoder.levels": spec.blocks, "decoder.levels": spec.blocks + 1})
    return spec, numbered, float(config.get("scaling_factor", 0.18215))


def _text_spec(folder: Path, weights: Weights, tokenizer: Tokenizer) -> TextSpec:
    config = _config(folder)
    bos_id, eos_id = special_ids(tokenizer)
    vocabulary, dim = find(weights, "tokens.weight", layout=LAYOUT).shape
    return TextSpec(
        vocabulary=vocabulary,
        length=weights["positions"].shape[0],
        dim=dim,
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        mlp_ratio=config["intermediate_size"] / dim,
        activation="quick_gelu" if config.get("hidden_act") == "quick_gelu" else "gelu",
        bos_id=bos_id,
        eos_id=eos_id,
    )


def _noise_spec(folder: Path) -> NoiseSpec:
    config = _config(folder, "scheduler_config.json")
    schedule, prediction = config["beta_schedule"], config.get("prediction_type", "epsilon")
    if schedule not in _SCHEDULES or prediction not in _PREDICTIONS:
        raise CheckpointError(f"{folder}: no schedule {schedule!r} of {prediction!r} is known")
    return NoiseSpec(
        schedule=_SCHEDULES[schedule],  # type: ignore[arg-type]  # one of its names
        train_steps=config["num_train_timesteps"],
        beta_start=config["beta_start"],
        beta_end=config["beta_end"],
        prediction=_PREDICTIONS[prediction],  # type: ignore[arg-type]  # one of its names
    )


def _weights(folder: Path) -> Weights:
    """Of a part that may lie there in half precision or as a training script's file as well."""
    for name in ("diffusion_pytorch_model.safetensors", "model.safetensors"):
        if (folder / name).is_file():
            return read_weights(str(folder / name))
    return read_weights(str(folder))


def _numbered(weights: Weights, lasts: Mapping[str, int]) -> Weights:
    """What changes the resolution comes after the blocks of its level."""
    renumbered = {}
    for name, tensor in weights.items():
        for place, count in lasts.items():
            name = re.sub(rf"^({re.escape(place)}\.\d+)\.last\.", rf"\g<1>.{count}.", name)
        renumbered[name] = tensor
    return renumbered


class _Config(dict[str, Any]):
    """What a part says of itself; a key that is missing is named with its file."""

    def __init__(self, file: Path, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._file = file

    def __missing__(self, key: str) -> Any:
        raise CheckpointError(f"{self._file} does not say {key}")


def _config(folder: Path, name: str = "config.json") -> _Config:
    file = folder / name
    try:
        return _Config(file, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
