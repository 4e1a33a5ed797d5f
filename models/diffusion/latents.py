"""Pictures as latents: encoded once, kept on disk, read while the noise network trains."""

import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.diffusion.autoencoder import Autoencoder, to_pixels
from models.diffusion.data import CaptionedPictures

# Legend: N pictures, B batch, C latent channels, h w cells of the latent map.

_SHARD = 1024
_BATCH = 16
_LOOKED_AT = 16


def encode_pictures(
    autoencoder: Autoencoder, pictures: CaptionedPictures, root: Path, *, device: torch.device
) -> Tensor:
    """The mean latents of all pictures, float16 [N, C, h, w].

    They are kept under `root` in a folder named after the encoder's weights and some of the
    pictures, in pieces that are whole or absent, so that this may be killed and called again.
    """
    folder = root / _fingerprint(autoencoder, pictures)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = []
    for start in range(0, len(pictures), _SHARD):
        numbers = torch.arange(start, min(start + _SHARD, len(pictures)))
        file = folder / f"{start:08d}-{start + len(numbers):08d}.npy"
        if not file.exists():
            _write(file, _encode(autoencoder.to(device), pictures, numbers, device))
        pieces.append(torch.from_numpy(np.load(file)))
    return torch.cat(pieces)


def channel_figures(latents: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The mean of each channel, and one over its deviation."""
    flat = latents.transpose(0, 1).flatten(1).float()  # [C, N h w]
    means, scales = flat.mean(1), 1 / flat.std(1).clamp_min(1e-6)
    return (
        tuple(round(value, 5) for value in means.tolist()),
        tuple(round(value, 5) for value in scales.tolist()),
    )


@torch.inference_mode()
def _encode(
    autoencoder: Autoencoder, pictures: CaptionedPictures, numbers: Tensor, device: torch.device
) -> Tensor:
    encoded = []
    for indices in torch.split(numbers, _BATCH):
        with torch.autocast(device.type, torch.bfloat16):
            pixels = to_pixels(pictures.read(indices).to(device))
            encoded.append(autoencoder.encode(pixels).mean.to("cpu", torch.float16))
    return torch.cat(encoded)


def _write(file: Path, latents: Tensor) -> None:
    handle, name = tempfile.mkstemp(prefix=".latents-", dir=file.parent)
    with os.fdopen(handle, "wb") as stream:
        np.save(stream, latents.numpy())
    os.replace(name, file)


def _fingerprint(autoencoder: Autoencoder, pictures: CaptionedPictures) -> str:
    digest = hashlib.sha256(f"{pictures.description} {pictures.size_px}".encode())
    some = torch.linspace(0, len(pictures) - 1, min(_LOOKED_AT, len(pictures))).long()
    digest.update(pictures.read(some).contiguous().numpy().tobytes())
    for name, weight in sorted(autoencoder.encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.cpu().float().contiguous().numpy().tobytes())
    digest.update(autoencoder.to_moments.weight.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()[:16]
