"""Pictures of an evaluation that people look at."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from models.data.boxed import BoxTruth
from models.detection.mistakes import Mistakes

# Legend: T thresholds of IoU (0.50 to 0.95), R levels of recall (0 to 1), C classes.

MOST_PANELS = 24
_LEAST_WIDTH_PX = 300
_CURVES = ((0, "0.50"), (5, "0.75"), (8, "0.90"))


def draw_precision_recall(
    precision: NDArray[np.float64], per_class: Sequence[float], labels: Sequence[str], path: Path
) -> None:
    """A panel for each class, the weakest first, with curves for three IoU: [T, R, C]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = [c for c in range(len(labels)) if not math.isnan(per_class[c])]
    shown = sorted(known, key=lambda c: per_class[c])[:MOST_PANELS]
    columns = min(4, max(1, len(shown)))
    rows = max(1, math.ceil(len(shown) / columns))
    figure = Figure(figsize=(2.7 * columns, 2.5 * rows + 0.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    recall = np.linspace(0, 1, precision.shape[1])
    for panel in panels.flat[len(shown) :]:
        panel.set_axis_off()
    for panel, c in zip(panels.flat, shown, strict=False):
        for threshold, name in _CURVES:
            panel.plot(recall, precision[threshold, :, c], linewidth=1.4, label=f"IoU {name}")
        panel.set_title(f"{labels[c]}  AP {per_class[c]:.3f}", fontsize=10)
        panel.set_xlim(0, 1.02)
        panel.set_ylim(0, 1.04)
        panel.grid(alpha=0.25, linewidth=0.5)
    if shown:
        panels[0, 0].legend(fontsize=8, loc="lower left")
    figure.supxlabel("recall", fontsize=10)
    figure.supylabel("precision", fontsize=10)
    figure.savefig(path)


def draw_worst(
    images: Tensor,
    truths: Sequence[BoxTruth],
    mistakes: Sequence[Mistakes],
    labels: Sequence[str],
    path: Path,
) -> None:
    """A sheet of uint8 images [B, H, W, 3] with their boxes, all in the same pixels.

    Right detections are green, wrong ones red, what was missed is dashed in white.
    """
    columns, gap_px, text_px = min(5, len(images)), 6, 18
    scale = max(1, round(_LEAST_WIDTH_PX / images.shape[2]))  # for the words to be legible
    height, width = (side * scale for side in images.shape[1:3])
    rows = math.ceil(len(images) / columns)
    size = (columns * (width + gap_px), rows * (height + gap_px + text_px))
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for index, (pixels, truth, wrong) in enumerate(zip(images, truths, mistakes, strict=True)):
        x = index % columns * (width + gap_px)
        y = index // columns * (height + gap_px + text_px)
        picture = Image.fromarray(pixels.numpy()).resize((width, height))
        _mark(picture, truth, wrong, labels, scale)
        sheet.paste(picture, (x, y))
        pen.text((x + 2, y + height + 2), _in_words(wrong), fill="black", font=font)
    sheet.save(path)


def _mark(
    picture: Image.Image, truth: BoxTruth, wrong: Mistakes, labels: Sequence[str], scale: int
) -> None:
    """Words stand at mistakes alone: they would cover each other otherwise."""
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    boxes = (wrong.found.boxes_xyxy * scale).tolist()
    for row in sorted(range(len(boxes)), key=lambda row: not bool(wrong.is_right[row])):
        box, is_right = boxes[row], bool(wrong.is_right[row])
        pen.rectangle(box, outline="#3ddc84" if is_right else "#ff4040", width=2)
        if not is_right:
            name = labels[int(wrong.found.labels[row])]
            text = f"{name} {float(wrong.found.scores[row]):.2f}"
            _write(pen, font, box[0], box[1], text, "#ff8080")
    for index in wrong.is_missed.nonzero()[:, 0].tolist():
        box = (truth.boxes_xyxy_px[index] * scale).tolist()
        _dashed(pen, box)
        _write(pen, font, box[0], box[3] - 16, labels[int(truth.labels[index])], "white")


def _write(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    x: float,
    y: float,
    text: str,
    colour: str,
) -> None:
    pen.text((x + 2, max(y, 0)), text, fill=colour, font=font, stroke_width=1, stroke_fill="black")


def _dashed(pen: ImageDraw.ImageDraw, box: Sequence[float], dash_px: int = 5) -> None:
    x1, y1, x2, y2 = box
    for start in np.arange(x1, x2, 2 * dash_px):
        for y in (y1, y2 - 1):
            pen.line((start, y, min(start + dash_px, x2), y), fill="white", width=2)
    for start in np.arange(y1, y2, 2 * dash_px):
        for x in (x1, x2 - 1):
            pen.line((x, start, x, min(start + dash_px, y2)), fill="white", width=2)


def _in_words(wrong: Mistakes) -> str:
    return f"{int(wrong.is_missed.sum())} missed, {int((~wrong.is_right).sum())} wrong"
