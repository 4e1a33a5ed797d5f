from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from exporters.checkpoints.stable_diffusion import read_stable_diffusion
from exporters.errors import CheckpointError
from models.clip import encode
from models.diffusion import Painter
from tests.exporters.stable_diffusion import Theirs, write_tiny_stable_diffusion

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    return write_tiny_stable_diffusion(tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def ours(theirs: Theirs) -> Painter:
    return read_stable_diffusion(theirs.folder)[0]


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    return bool((ours - theirs).abs().max() < TOLERANCE * theirs.abs().max())


@torch.inference_mode()
def test_the_noise_network_says_what_diffusers_says(ours: Painter, theirs: Theirs) -> None:
    latents, hidden = torch.randn(3, 4, 8, 8), torch.randn(3, 12, 24)
    times = torch.tensor([1.0, 500.0, 999.0])
    expected = theirs.unet(latents, times, hidden).sample
    assert expected.std() > 0.05
    assert close(ours.unet(latents, times, hidden), expected)


@torch.inference_mode()
def test_the_decoder_and_the_encoder_say_what_diffusers_says(ours: Painter, theirs: Theirs) -> None:
    latents, pixels = torch.randn(2, 4, 8, 8), torch.rand(2, 3, 16, 16) * 2 - 1
    assert close(ours.autoencoder.decode(latents), theirs.vae.decode(latents).sample)
    expected = theirs.vae.encode(pixels).latent_dist
    assert close(ours.autoencoder.encode(pixels).mean, expected.mean)
    assert close(ours.autoencoder.encode(pixels).log_variance, expected.logvar)
    scaled = theirs.vae.decode(latents / theirs.vae.config.scaling_factor).sample
    image = ((scaled / 2 + 0.5).clamp(0, 1) * 255).round().permute(0, 2, 3, 1)
    assert (ours.decode(latents).float() - image).abs().max() <= 1


@torch.inference_mode()
def test_the_text_tower_says_what_transformers_says(ours: Painter, theirs: Theirs) -> None:
    tokenizer = read_stable_diffusion(theirs.folder)[2]
    tokens = encode(tokenizer, ["a cat", "", "far too long a text for this one"])
    assert tokens.shape == (3, 12)
    assert close(ours.text(tokens), theirs.text(tokens).last_hidden_state)


def test_the_spec_tells_the_schedule_and_the_size(theirs: Theirs) -> None:
    spec = read_stable_diffusion(theirs.folder)[1]
    assert spec.image_size == (16, 16) and spec.latent_shape == (4, 8, 8)
    assert spec.noise.schedule == "scaled-linear" and spec.noise.prediction == "epsilon"
    assert spec.noise.beta_end == 0.012 and spec.latent_scale == (0.18215,)


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("unet", "addition_embed_type", "text_time", "addition_embed_type"),
        ("unet", "cross_attention_dim", 48, "does not fit"),
        ("vae", "latent_channels", 8, "does not fit"),
        ("scheduler", "beta_schedule", "sigmoid", "schedule"),
    ],
)
def test_what_is_no_stable_diffusion_1_is_refused(
    theirs: Theirs, tmp_path: Path, part: str, key: str, value: object, said: str
) -> None:
    folder = tmp_path / "other"
    shutil.copytree(theirs.folder, folder)
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    config = json.loads((folder / part / name).read_text())
    (folder / part / name).write_text(json.dumps(config | {key: value}))
    with pytest.raises(CheckpointError, match=said):
        read_stable_diffusion(folder)


def test_a_folder_without_a_part_is_refused(theirs: Theirs, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(theirs.folder, folder)
    shutil.rmtree(folder / "vae")
    with pytest.raises(CheckpointError, match="vae"):
        read_stable_diffusion(folder)
