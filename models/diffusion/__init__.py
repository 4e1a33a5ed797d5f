"""Painting from words: latent diffusion (Rombach et al. 2022)."""

from models.diffusion.autoencoder import Autoencoder
from models.diffusion.checkpoint import load_autoencoder, load_painter, save_painter
from models.diffusion.painter import Painter, noise_defaults, noise_schedule
from models.diffusion.painting import paint, step
from models.diffusion.spec import AutoencoderSpec, NoiseSpec, PainterSpec, UNetSpec
from models.diffusion.unet import UNet

__all__ = [
    "Autoencoder",
    "AutoencoderSpec",
    "NoiseSpec",
    "Painter",
    "PainterSpec",
    "UNet",
    "UNetSpec",
    "load_autoencoder",
    "load_painter",
    "noise_defaults",
    "noise_schedule",
    "paint",
    "save_painter",
    "step",
]
