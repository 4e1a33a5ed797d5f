from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler
from typer.testing import CliRunner

from exporters.commands.importing import app
from exporters.session import CpuSession
from models.diffusion import load_painter
from service.bundle import read_bundle
from service.generation.contract import check_generator
from service.sampling import plan, schedule_of
from tests.exporters.stable_diffusion import write_tiny_stable_diffusion


def test_a_stable_diffusion_becomes_a_bundle_that_paints_what_diffusers_paints(
    tmp_path: Path,
) -> None:
    theirs = write_tiny_stable_diffusion(tmp_path / "sd", layers=1)
    arguments = ["painter", str(theirs.folder), "--name", "sd", "--precision", "fp32"]
    arguments += ["--repository", str(tmp_path / "bundles")]
    arguments += ["--checkpoint", str(tmp_path / "kept")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    bundle = read_bundle(tmp_path / "bundles" / "sd" / "1")
    check_generator(bundle.manifest)
    assert load_painter(tmp_path / "kept")[1].noise.schedule == "scaled-linear"

    sessions = {r: CpuSession(bundle.file(g.file)) for r, g in bundle.manifest.graphs.items()}
    texts = np.array([[512, 64, 65, *[513] * 9], [512, *[513] * 11]], np.int64)
    hidden = sessions["text"].run({"tokens": texts})["hidden"]
    table = plan("ddim", schedule_of(bundle.manifest.defaults), 4)
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        timestep_spacing="trailing",
        clip_sample=False,
    )
    scheduler.set_timesteps(4)
    x = np.random.default_rng(1).standard_normal((1, 4, 8, 8)).astype(np.float32)
    latents, zeros = torch.from_numpy(x), np.zeros_like(x)
    with torch.inference_mode():
        states = theirs.text(torch.from_numpy(texts)).last_hidden_state
        for i, time in enumerate(scheduler.timesteps):
            both = theirs.unet(torch.cat([latents] * 2), time, states).sample
            noise = both[1:] + 7.5 * (both[:1] - both[1:])
            latents = scheduler.step(noise, time, latents).prev_sample
            x = sessions["step"].run(
                {
                    "latents": x,
                    "timestep": table.timesteps[i : i + 1],
                    "cond": hidden[:1],
                    "uncond": hidden[1:],
                    "guidance": np.array([7.5], np.float32),
                    "coefficients": table.coefficients[i : i + 1],
                    "previous": zeros,
                    "noise": zeros,
                }
            )["next_latents"]
        decoded = theirs.vae.decode(latents / theirs.vae.config.scaling_factor).sample
    assert np.abs(x - latents.numpy()).max() < 1e-3 * np.abs(x).max()
    expected = ((decoded / 2 + 0.5).clamp(0, 1) * 255).permute(0, 2, 3, 1).numpy()
    image = sessions["decode"].run({"latents": x})["image"]
    assert image.std() > 5 and np.abs(image - expected).max() < 2


def test_a_folder_of_something_else_is_told_in_a_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["painter", str(tmp_path), "--name", "sd"])
    assert result.exit_code != 0 and "config.json" in result.output
