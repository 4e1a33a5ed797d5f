from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from models.clip import TextSpec
from models.diffusion import Autoencoder, AutoencoderSpec, Painter, PainterSpec, UNet, UNetSpec
from models.diffusion.attention import Attention
from models.diffusion.autoencoder import Gaussian, to_image, to_pixels
from models.diffusion.unet import TimeEmbedding

AUTOENCODER = AutoencoderSpec(latent_channels=4, channels=(8, 16), blocks=1, groups=4, patch=2)
UNET = UNetSpec(
    latent_channels=4,
    channels=(8, 16),
    attention=(False, True),
    blocks=2,
    heads=2,
    context=16,
    groups=4,
)
TEXT = TextSpec(vocabulary=64, length=8, dim=16, layers=1, heads=2)
SPEC = PainterSpec(autoencoder=AUTOENCODER, unet=UNET, text=TEXT, image_size=(32, 48))


def test_an_autoencoder_goes_down_by_its_stride_and_back() -> None:
    autoencoder = Autoencoder(AUTOENCODER)
    latents = autoencoder.encode(torch.rand(2, 3, 32, 48))
    assert AUTOENCODER.stride == 4 and latents.mean.shape == (2, 4, 8, 12)
    assert autoencoder.decode(latents.sample()).shape == (2, 3, 32, 48)


def test_the_divergence_is_that_of_torch_distributions() -> None:
    mean, log_variance = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    own = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    expected = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(Gaussian(mean, log_variance).divergence(), expected.sum((1, 2, 3)))


def test_pixels_and_images_undo_each_other() -> None:
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1).expand(1, 16, 16, 3)
    assert to_pixels(image).aminmax() == (-1, 1)
    assert torch.equal(to_image(to_pixels(image)), image)


@pytest.mark.parametrize("length", [9, 400])
def test_attention_is_the_fused_kernels(length: int) -> None:
    """Both of the ways that it takes, by the length of the sequence."""
    attention = Attention(8, 6, heads=2)
    x, context = torch.randn(2, length, 8), torch.randn(2, 5, 6)

    def heads(values: Tensor) -> Tensor:
        return values.unflatten(2, (2, 4)).transpose(1, 2)

    fused = F.scaled_dot_product_attention(
        heads(attention.query(x)), heads(attention.key(context)), heads(attention.value(context))
    )
    expected = attention.out(fused.transpose(1, 2).flatten(2))
    torch.testing.assert_close(attention(x, context), expected, atol=1e-5, rtol=1e-4)


def test_times_become_the_waves_of_diffusers() -> None:
    times, waves = torch.tensor([0.0, 1.5, 999.0]), []
    embedding = TimeEmbedding(32)
    embedding.inner.register_forward_pre_hook(lambda _, inputs: waves.append(inputs[0]))
    assert embedding(times).shape == (3, 128)
    expected = get_timestep_embedding(times, 32, flip_sin_to_cos=True, downscale_freq_shift=0)
    torch.testing.assert_close(waves[0], expected, atol=1e-4, rtol=1e-4)


def test_the_noise_network_reads_time_and_text() -> None:
    network = UNet(UNET).eval()
    latents, text = torch.randn(2, 4, 8, 12), torch.randn(2, 8, 16)
    one = network(latents, torch.tensor([10.0, 10.0]), text)
    assert one.shape == latents.shape
    assert not torch.allclose(one, network(latents, torch.tensor([500.0, 500.0]), text))
    assert not torch.allclose(one, network(latents, torch.tensor([10.0, 10.0]), text.flip(0)))


def test_a_pooled_text_reaches_every_block() -> None:
    torch.manual_seed(0)
    plain = UNet(UNET).eval()
    pooled = UNet(dataclasses.replace(UNET, pooled=True)).eval()
    pooled.load_state_dict(plain.state_dict(), strict=False)
    latents, times, text = torch.randn(2, 4, 8, 12), torch.zeros(2), torch.randn(2, 8, 16)
    assert pooled.pooled is not None
    heard: list[torch.Tensor] = []
    first = pooled.down[0][0].block
    first.register_forward_hook(lambda _, given, __: heard.append(given[1]))
    pooled(latents, times, text)
    expected = plain.time(times) + pooled.pooled(text.mean(1))
    torch.testing.assert_close(heard[0], expected)
    nn.init.zeros_(pooled.pooled.weight)
    nn.init.zeros_(pooled.pooled.bias)
    assert torch.equal(pooled(latents, times, text), plain(latents, times, text))


def test_latents_are_shifted_and_scaled_and_back() -> None:
    spec = PainterSpec(
        autoencoder=AUTOENCODER,
        unet=UNET,
        text=TEXT,
        image_size=(32, 32),
        latent_shift=(1.0, 2.0, 3.0, 4.0),
        latent_scale=(0.5, 1.0, 2.0, 4.0),
    )
    painter = Painter(spec).eval()
    image = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    raw = painter.autoencoder.encode(to_pixels(image)).mean
    latents = painter.encode(image)
    torch.testing.assert_close(latents[:, 3], (raw[:, 3] - 4) * 4)
    # There and back costs float32 its last bits, which may decide how a level is rounded.
    back = latents / painter.scale + painter.shift
    torch.testing.assert_close(back, raw)
    assert torch.equal(painter.decode(latents), to_image(painter.autoencoder.decode(back)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_size": (30, 32)}, "divide by 8"),
        ({"latent_scale": (1.0, 2.0)}, "latent_scale"),
        ({"text": TextSpec(vocabulary=64, dim=32)}, "context"),
    ],
)
def test_parts_must_fit(changes: dict[str, object], said: str) -> None:
    parts = {"autoencoder": AUTOENCODER, "unet": UNET, "text": TEXT, "image_size": (32, 32)}
    with pytest.raises(ValueError, match=said):
        PainterSpec(**(parts | changes))  # type: ignore[arg-type]
