"""What `panoptes train autoencoder` and `panoptes train painter` run."""

from pathlib import Path

from models.diffusion.autoencoder_recipe import AutoencoderRecipe
from models.diffusion.autoencoder_task import AutoencoderTask
from models.diffusion.painter_recipe import PainterRecipe
from models.diffusion.painter_task import PainterTask
from models.training.running import Trainable

AUTOENCODER = Trainable(
    AutoencoderRecipe,
    AutoencoderTask.from_recipe,
    recipes=Path(__file__).parent / "recipes",
    measure="PSNR",
)

PAINTER = Trainable(
    PainterRecipe,
    PainterTask.from_recipe,
    recipes=Path(__file__).parent / "recipes",
    measure="error",
)
