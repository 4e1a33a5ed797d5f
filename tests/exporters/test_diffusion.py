from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from exporters.commands.export import app as export_app
from exporters.diffusion import PainterOptions, export_painter
from exporters.diffusion_data import GOLDEN_PROMPTS, fit_preview, golden_steps
from exporters.diffusion_painting import GraphPainter
from exporters.errors import ExportError
from exporters.session import CpuSession
from models.clip import TextSpec, encode, shipped_tokenizer
from models.clip.tokenizing import of_length
from models.diffusion import AutoencoderSpec, Painter, PainterSpec, UNetSpec
from service.bundle import Bundle
from service.generation.contract import check_generator
from service.sampling import SAMPLERS, plan, schedule_of

SPEC = PainterSpec(
    autoencoder=AutoencoderSpec(
        latent_channels=4, channels=(8, 16), blocks=1, groups=4, patch=2, attention=True
    ),
    unet=UNetSpec(
        latent_channels=4,
        channels=(8, 16),
        attention=(False, True),
        blocks=1,
        heads=2,
        context=16,
        groups=4,
    ),
    text=TextSpec(vocabulary=512, length=12, dim=16, layers=1, heads=2),
    image_size=(32, 32),
    latent_shift=(0.1, -0.2, 0.0, 0.3),
    latent_scale=(0.9, 1.1, 1.3, 0.7),
)


def tiny_painter(spec: PainterSpec = SPEC) -> Painter:
    torch.manual_seed(0)
    painter = Painter(spec)
    for parameter in painter.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return painter.eval().requires_grad_(False)


def tokenizer() -> Tokenizer:
    return of_length(shipped_tokenizer(), SPEC.text.length)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    exported = export_painter(
        tiny_painter(),
        SPEC,
        tokenizer(),
        {"metrics": {"error": 0.5}},
        tmp_path_factory.mktemp("bundles"),
        PainterOptions(name="tiny", precision="fp16", max_steps=5000),
    )
    assert {entry.batch for entry in exported.parity["step"]} == {1, 2, 3, 8}
    return exported.written.bundle


def test_the_server_takes_the_bundle(bundle: Bundle) -> None:
    check_generator(bundle.manifest)
    manifest = bundle.manifest
    assert manifest.defaults["max_steps"] == 1000 and manifest.tokenizer == "tokenizer.json"
    assert {graph.precision for graph in manifest.graphs.values()} == {"fp16"}
    assert schedule_of(manifest.defaults).prediction == "v"
    assert len(str(manifest.defaults["preview"]).split(",")) == 4 * 3 + 3


def test_every_sample_is_its_own_in_any_batch(bundle: Bundle) -> None:
    session = CpuSession(bundle.file(bundle.manifest.graphs["step"].file))
    inputs = golden_steps(tiny_painter(), tokenizer(), ()).inputs
    together = session.run(inputs)
    for i in range(len(GOLDEN_PROMPTS)):
        alone = session.run({name: value[i : i + 1] for name, value in inputs.items()})
        for name, value in alone.items():
            np.testing.assert_allclose(value[0], together[name][i], rtol=1e-5, atol=1e-5)


def test_a_step_is_guidance_then_the_sampler_written_out(bundle: Bundle) -> None:
    """The graph against the formulas of Ho and Salimans 2022 and Song et al. 2020."""
    painter = tiny_painter()
    session = CpuSession(bundle.file(bundle.manifest.graphs["step"].file))
    table = plan("ddim", schedule_of(bundle.manifest.defaults), 10)
    tokens = encode(tokenizer(), ["a red ball", ""])
    hidden = painter.text(tokens)
    x = torch.randn(1, *SPEC.latent_shape)
    time, row = table.timesteps[4:5], table.coefficients[4:5]
    zeros = np.zeros(x.shape, np.float32)
    found = session.run(
        {
            "latents": x.numpy(),
            "timestep": time,
            "cond": hidden[:1].numpy(),
            "uncond": hidden[1:].numpy(),
            "guidance": np.array([3.0], np.float32),
            "coefficients": row,
            "previous": zeros,
            "noise": zeros,
        }
    )
    alphas = schedule_of(bundle.manifest.defaults).alphas_cumprod
    now, after = (torch.tensor(alphas[int(table.timesteps[i])]).float() for i in (4, 5))
    times = torch.from_numpy(time)
    said, unsaid = (painter.unet(x, times, hidden[i : i + 1]) for i in (0, 1))
    v = unsaid + 3.0 * (said - unsaid)
    clean = now.sqrt() * x - (1 - now).sqrt() * v
    noise = now.sqrt() * v + (1 - now).sqrt() * x
    expected = after.sqrt() * clean + (1 - after).sqrt() * noise
    np.testing.assert_allclose(found["next_latents"], expected.numpy(), atol=5e-3)
    np.testing.assert_allclose(found["clean"], clean.numpy(), atol=5e-3)


def test_golden_steps_cover_every_sampler() -> None:
    golden = golden_steps(tiny_painter(), tokenizer(), ("a white cone",))
    assert len(golden.tokens) == 8 and golden.amplification >= 1
    tables = [plan(name, schedule_of({"schedule": "cosine", "train_steps": 1000,
                                      "prediction": "v"}), 20) for name in SAMPLERS]  # fmt: skip
    rows = golden.inputs["coefficients"]
    for i, row in enumerate(rows):
        assert (tables[i % 4].coefficients == row).all(1).any()


def test_graphs_paint_what_torch_paints_of_the_same_noise(bundle: Bundle) -> None:
    files = {role: bundle.file(g.file) for role, g in bundle.manifest.graphs.items()}
    settings = {"sampler": "ddpm", "steps": 4, "guidance": 2.0}
    graphs = GraphPainter(files, SPEC, tokenizer(), **settings)  # type: ignore[arg-type]
    alone = graphs(["a red ball"], [7])
    both = graphs(["a blue cube", "a red ball"], [3, 7])
    assert alone.shape == (1, 32, 32, 3) and alone.dtype == torch.uint8
    assert (alone[0].int() - both[1].int()).abs().max() <= 1
    assert (both[0].int() - both[1].int()).abs().max() > 1


def test_the_preview_has_the_colours_of_the_pictures() -> None:
    """A plain autoencoder's latents are its patches' means: a matrix can read them."""
    pictures = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    painter = tiny_painter()
    glimpse = fit_preview(painter, pictures)
    latents = painter.encode(torch.from_numpy(pictures)).permute(0, 2, 3, 1).numpy()
    seen = latents @ glimpse.matrix + glimpse.bias  # [N, h, w, 3]
    truth = pictures.reshape(6, 8, 4, 8, 4, 3).mean((2, 4))
    plain = np.square(truth - truth.mean((0, 1, 2))).mean()
    assert np.square(seen - truth).mean() < plain
    numbers = [float(x) for x in glimpse.as_text().split(",")]
    np.testing.assert_allclose(numbers[:-3], glimpse.matrix.ravel(), atol=1e-3)


def test_eight_bits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="int8"):
        export_painter(
            tiny_painter(),
            SPEC,
            tokenizer(),
            {},
            tmp_path,
            PainterOptions(name="tiny", precision="int8"),
        )


def test_the_command_is_there() -> None:
    assert "painter" in {command.name for command in export_app.registered_commands}
