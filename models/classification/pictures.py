"""Pictures of an evaluation that people look at."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor


def draw_confusion(confusion: Tensor, labels: Sequence[str], path: Path) -> None:
    """The confusion matrix [C, C], each row scaled to one; numbers only where there are few."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    classes = len(labels)
    shares = (confusion / confusion.sum(1, keepdim=True).clamp_min(1)).numpy()  # [C, C]
    side = max(5.0, 0.19 * classes + 2.5)
    figure = Figure(figsize=(side * 1.05, side), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    # On a logarithmic scale one error in a hundred is still seen.
    image = axes.imshow(shares.clip(1e-3), cmap="magma_r", norm=LogNorm(1e-3, 1.0))
    font = 9 if classes <= 20 else 6.5
    axes.set_xticks(range(classes), labels, rotation=90, fontsize=font)
    axes.set_yticks(range(classes), labels, fontsize=font)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    accuracy = float(confusion.diagonal().sum() / confusion.sum().clamp_min(1))
    axes.set_title(f"top-1 {accuracy:.2%} of {int(confusion.sum())} images")
    if classes <= 20:
        for row, column in (confusion > 0).nonzero().tolist():
            colour = "white" if shares[row, column] > 0.1 else "black"
            text = str(int(confusion[row, column]))
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    else:
        _rule_lines(axes, classes, labels)
    figure.colorbar(image, ax=axes, label="share of the row", shrink=0.6)
    figure.savefig(path)


def draw_mistakes(images: Tensor, captions: Sequence[str], path: Path) -> None:
    """A sheet of uint8 images [B, H, W, 3], each over its caption of two lines."""
    from PIL import Image, ImageDraw, ImageFont

    cell_px, text_px, columns = 144, 34, min(8, len(captions))
    rows = math.ceil(len(captions) / columns)
    sheet = Image.new("RGB", (columns * cell_px, rows * (cell_px + text_px)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for index, (pixels, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = index % columns * cell_px, index // columns * (cell_px + text_px)
        picture = Image.fromarray(pixels.numpy()).resize((cell_px - 4, cell_px - 4))
        sheet.paste(picture, (x + 2, y + 2))
        pen.multiline_text((x + 4, y + cell_px), caption, fill="black", font=font, spacing=1)
    sheet.save(path)


def _rule_lines(axes: Any, classes: int, labels: Sequence[str]) -> None:
    """Thin lines where the last word of the names changes, if names come in such blocks."""
    nouns = [label.split()[-1] for label in labels]
    for index in range(1, classes):
        if nouns[index] != nouns[index - 1] and classes % 8 == 0:
            for line in (axes.axhline, axes.axvline):
                line(index - 0.5, color="0.75", linewidth=0.6)
