"""The evaluation of a checkpoint: figures, the confusion picture, the worst mistakes."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.classification.checkpoint import load_classifier
from models.classification.data import open_images
from models.classification.network import Classifier
from models.classification.pictures import draw_confusion, draw_mistakes
from models.classification.recipe import DataSpec, FolderData
from models.classification.task import EVALUATION_BATCH, measure
from models.data.labelled import LabelledImages
from models.training.plain import from_plain
from models.training.task import Place


@dataclass(frozen=True)
class Mistake:
    """One image that the classifier got wrong."""

    index: int
    truth: str
    answer: str
    confidence: float


def evaluate_classifier(
    checkpoint: Path,
    *,
    out: Path,
    split: str | None = None,
    folder: Path | None = None,
    scenes: int | None = None,
) -> dict[str, Any]:
    """Measure a checkpoint on the test split of its own data, or on another image folder.

    `scenes` asks for that many scenes of the world rather than as many as the recipe says.

    Writes `evaluation.json`, `confusion.png` and, if there are any, `mistakes.png` to `out`.
    """
    classifier, spec, metadata = load_classifier(checkpoint)
    data = from_plain(DataSpec, metadata["recipe"]["data"], "recipe.data")
    if folder is not None:
        data = DataSpec(folder=FolderData(str(folder)))
    elif scenes is not None and data.world is not None:
        data = DataSpec(world=replace(data.world, train=scenes, val=scenes, test=scenes))
    images = open_images(data, split or _test_split(data), names=spec.labels)
    measures = measure(classifier, images, spec.input_size, Place(torch.device("cpu")))
    mistakes = find_mistakes(classifier, images, spec.input_size)
    report = {
        "checkpoint": str(checkpoint),
        "data": images.description,
        "samples": len(images),
        **measures.figures(),
        "recall": _recalls(measures.confusion, spec.labels),
        "mistakes": [vars(mistake) for mistake in mistakes],
        "provenance": metadata.get("provenance", {}),
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False)
    (out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    draw_confusion(measures.confusion, spec.labels, out / "confusion.png")
    if mistakes:
        worst = mistakes[:40]
        pictures = images.read(torch.tensor([m.index for m in worst]), spec.input_size)
        captions = [f"{m.truth}\nas {m.answer} {m.confidence:.0%}" for m in worst]
        draw_mistakes(pictures, captions, out / "mistakes.png")
    return report


@torch.inference_mode()
def find_mistakes(
    classifier: Classifier, images: LabelledImages, size: tuple[int, int]
) -> list[Mistake]:
    """All wrong answers, the most confident first."""
    mistakes = []
    for start in range(0, len(images), EVALUATION_BATCH):
        indices = torch.arange(start, min(start + EVALUATION_BATCH, len(images)))
        probabilities = classifier(images.read(indices, size)).softmax(1)  # [B, C]
        confidence, answers = probabilities.max(1)  # [B] each
        labels = images.labels[indices]
        for row in (answers != labels).nonzero()[:, 0].tolist():
            truth, answer = images.names[int(labels[row])], images.names[int(answers[row])]
            mistakes.append(Mistake(int(indices[row]), truth, answer, float(confidence[row])))
    return sorted(mistakes, key=lambda mistake: -mistake.confidence)


def _test_split(data: DataSpec) -> str:
    if data.folder is not None and not (Path(data.folder.root).expanduser() / "test").is_dir():
        return "val"
    return "test"


def _recalls(confusion: Tensor, labels: tuple[str, ...]) -> dict[str, float]:
    """The share of each class that was found; classes without samples are left out."""
    totals = confusion.sum(1)
    return {
        label: float(confusion[i, i] / totals[i]) for i, label in enumerate(labels) if totals[i] > 0
    }
