"""A tiny random Stable Diffusion, written by diffusers and transformers themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
from tokenizers import pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel


class Theirs(NamedTuple):
    folder: Path
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    text: CLIPTextModel


def write_tiny_stable_diffusion(folder: Path, *, layers: int = 2) -> Theirs:
    """Every kind of block that 1.x has, at a fraction of its width; of each as many as there, or
    fewer `layers`."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32, 32),
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=layers,
        attention_head_dim=4,
        cross_attention_dim=24,
        norm_num_groups=8,
    )
    vae = AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=layers,
        norm_num_groups=8,
        sample_size=16,
    )
    units = [*pre_tokenizers.ByteLevel.alphabet()]
    units += [f"{unit}</w>" for unit in units] + ["<|startoftext|>", "<|endoftext|>"]
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(units),
            hidden_size=24,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=12,
            bos_token_id=len(units) - 2,
            eos_token_id=len(units) - 1,
            pad_token_id=len(units) - 1,
        )
    )
    for module in (unet, vae, text):
        _shake(module)
    unet.save_pretrained(folder / "unet")
    vae.save_pretrained(folder / "vae")
    text.save_pretrained(folder / "text_encoder")
    PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
    ).save_pretrained(folder / "scheduler")
    (folder / "tokenizer").mkdir()
    ids = {unit: index for index, unit in enumerate(units)}
    (folder / "tokenizer" / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "tokenizer" / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return Theirs(folder, unet.eval(), vae.eval(), text.eval())


def _shake(module: torch.nn.Module) -> None:
    """Norms begin as the identity, biases at zero: such would hide that they were mixed up."""
    for parameter in module.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
