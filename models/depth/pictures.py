"""Pictures of an evaluation that people look at."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.depth.measures import FARTHEST_M, NEAREST_M

# Legend: H W pixels.

#: The relative error that is drawn as the end of its scale.
WORST_ERROR = 0.25

_TITLES = ("image", "true depth", "answer", f"error, white from {WORST_ERROR:.0%}")
_UNKNOWN = (60, 60, 60)


def draw_sheet(
    rows: Sequence[tuple[Tensor, Tensor, Tensor]], captions: Sequence[str], path: Path
) -> None:
    """One row for each of (image uint8 [H, W, 3], answer [H, W], truth [H, W], in metres).

    Truth and answer share a scale of colours, warm is near. Where the truth is 0 it is unknown.
    """
    cell_px, gap_px, text_px = 192, 6, 18
    size = (4 * (cell_px + gap_px), text_px + len(rows) * (cell_px + gap_px + text_px))
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for column, title in enumerate(_TITLES):
        pen.text((column * (cell_px + gap_px) + 2, 2), title, fill="black", font=font)
    for number, ((image, answer, truth), caption) in enumerate(zip(rows, captions, strict=True)):
        y = text_px + number * (cell_px + gap_px + text_px)
        for column, pixels in enumerate(_row(image, answer, truth)):
            picture = Image.fromarray(pixels)
            scale = cell_px / max(picture.size)
            picture = picture.resize((int(picture.width * scale), int(picture.height * scale)))
            sheet.paste(picture, (column * (cell_px + gap_px), y))
        pen.text((2, y + cell_px + 2), caption, fill="black", font=font)
    sheet.save(path)


def _row(image: Tensor, answer: Tensor, truth: Tensor) -> list[NDArray[np.uint8]]:
    known = (truth > NEAREST_M) & (truth < FARTHEST_M)
    nearness = 1 / truth[known]
    low, high = np.quantile(nearness.numpy(), [0.01, 0.99])
    span = max(float(high - low), 1e-6)
    error = torch.where(known, (answer - truth).abs() / truth.clamp_min(NEAREST_M), 0.0)
    return [
        image.numpy(),
        _coloured((1 / truth.clamp_min(NEAREST_M) - float(low)) / span, "turbo", known),
        _coloured((1 / answer.clamp_min(NEAREST_M) - float(low)) / span, "turbo"),
        _coloured(error / WORST_ERROR, "inferno", known),
    ]


def _coloured(values: Tensor, name: str, known: Tensor | None = None) -> NDArray[np.uint8]:
    """Values in [0, 1] in the colours of that map, uint8 [H, W, 3]."""
    from matplotlib import colormaps

    rgb = colormaps[name](values.clamp(0, 1).numpy())[..., :3]
    pixels = np.asarray((rgb * 255).round(), dtype=np.uint8)
    if known is not None:
        pixels[~known.numpy()] = _UNKNOWN
    return pixels
