"""The evaluation of a checkpoint: COCO's figures, curves, and the images with mistakes."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from models.data.boxed import BoxedImages, BoxTruth
from models.detection.checkpoint import load_detector
from models.detection.data import open_boxed_images
from models.detection.detecting import detect_all
from models.detection.measures import average_precision
from models.detection.mistakes import find_mistakes
from models.detection.pictures import draw_precision_recall, draw_worst
from models.detection.postprocess import Detections
from models.detection.recipe import CocoData, CocoSplit, DataSpec
from models.detection.spec import DetectorSpec
from models.detection.windows import boxes_to_input, fit_windows
from models.training.plain import from_plain
from models.training.task import Place

#: How many images the sheet of mistakes holds.
SHOWN = 20

#: The thresholds to choose from when a detector is put to use.
SCORES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def evaluate_detector(
    checkpoint: Path,
    *,
    split: str | None = None,
    images: Path | None = None,
    annotations: Path | None = None,
    out: Path,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measure a checkpoint on the test split of its own data, or on another COCO file.

    Writes `evaluation.json`, `precision-recall.png` and, if there are any mistakes, `worst.png`.
    """
    detector, spec, metadata = load_detector(checkpoint)
    data = _data(metadata, images, annotations)
    source = open_boxed_images(data, split or _test_split(data), names=spec.labels)
    place = Place(torch.device(device))
    found = detect_all(detector.to(place.device), spec, source, place)
    truths = [source.truth(index) for index in range(len(source))]
    measured = average_precision(truths, found, len(spec.labels))
    report: dict[str, Any] = {
        "checkpoint": str(checkpoint),
        "data": source.description,
        "samples": len(source),
        "objects": sum(len(truth.labels) for truth in truths),
        "parameters": sum(p.numel() for p in detector.parameters()),
        **{name: _number(value) for name, value in measured.figures.items()},
        "per_class": dict(zip(spec.labels, map(_number, measured.per_class), strict=True)),
        "operating_points": [_operating_point(truths, found, score) for score in SCORES],
        "provenance": metadata.get("provenance", {}),
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    draw_precision_recall(
        measured.precision, measured.per_class, spec.labels, out / "precision-recall.png"
    )
    best = max(report["operating_points"], key=lambda point: float(point["f1"]))["score"]
    _draw_worst(source, spec, truths, found, best, out / "worst.png")
    return report


def _data(metadata: dict[str, Any], images: Path | None, annotations: Path | None) -> DataSpec:
    if (images is None) != (annotations is None):
        raise ValueError("give the images and their annotations together")
    if images is not None:
        only = CocoSplit(str(images), str(annotations))
        return DataSpec(coco=CocoData(train=only, val=only, test=only))
    if "recipe" not in metadata:
        raise ValueError("this checkpoint names no data: give images and annotations")
    return from_plain(DataSpec, metadata["recipe"]["data"], "recipe.data")


def _test_split(data: DataSpec) -> str:
    return "val" if data.coco is not None and data.coco.test is None else "test"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _operating_point(
    truths: Sequence[BoxTruth], found: Sequence[Detections], score: float
) -> dict[str, float]:
    """What somebody gets who believes detections from this score on, at IoU 0.5."""
    mistakes = [
        find_mistakes(truth, one, score_threshold=score)
        for truth, one in zip(truths, found, strict=True)
    ]
    right = sum(int(m.is_right.sum()) for m in mistakes)
    sure = sum(len(m.is_right) for m in mistakes)
    missed = sum(int(m.is_missed.sum()) for m in mistakes)
    real = sum(int((~truth.is_crowd).sum()) for truth in truths)
    precision, recall = right / max(sure, 1), 1 - missed / max(real, 1)
    return {
        "score": score,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-9),
        "flawless_images": sum(m.weight == 0 for m in mistakes) / len(mistakes),
    }


def _draw_worst(
    source: BoxedImages,
    spec: DetectorSpec,
    truths: Sequence[BoxTruth],
    found: Sequence[Detections],
    score: float,
    path: Path,
) -> None:
    """As the network sees them, so that images of all shapes make one sheet."""
    mistakes = [
        find_mistakes(truth, one, score_threshold=score)
        for truth, one in zip(truths, found, strict=True)
    ]
    order = sorted(range(len(mistakes)), key=lambda index: -mistakes[index].weight)
    worst = [index for index in order if mistakes[index].weight > 0][:SHOWN]
    if not worst:
        return
    indices, size = torch.tensor(worst), spec.input_size
    windows = fit_windows(source.sizes_px(indices), size, spec.fit)
    seen_truths, seen_mistakes = [], []
    for index, window in zip(worst, windows, strict=True):
        boxes = boxes_to_input(truths[index].boxes_xyxy_px[None], window[None], size)[0]
        seen_truths.append(truths[index]._replace(boxes_xyxy_px=boxes))
        boxes = boxes_to_input(found[index].boxes_xyxy[None], window[None], size)[0]
        seen_mistakes.append(
            find_mistakes(
                seen_truths[-1], found[index]._replace(boxes_xyxy=boxes), score_threshold=score
            )
        )
    pictures = source.read(indices, size, windows)
    draw_worst(pictures, seen_truths, seen_mistakes, spec.labels, path)
