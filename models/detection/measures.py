"""Average precision as COCO defines it, from what was found and what is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.data.boxed import BoxTruth
from models.detection.postprocess import Detections

# Legend: T thresholds of IoU, R levels of recall, C classes.


@dataclass(frozen=True)
class AveragePrecision:
    """AP over IoU 0.50:0.05:0.95 and its parts; not-a-number where nothing was to be found.

    Small is below 32² px of the image, large from 96² px.
    """

    precision: NDArray[np.float64]  # [T, R, C]: the best at that recall or beyond; -1: no objects
    figures: dict[str, float]  # AP, AP50, AP75, AP_small, AP_medium, AP_large, AR
    per_class: list[float]  # AP of each class


def average_precision(
    truths: Sequence[BoxTruth], detections: Sequence[Detections], classes: int
) -> AveragePrecision:
    """Of images in the same order; all boxes in pixels of the images."""
    return evaluate_coco(
        _truth_document(truths, classes), _found_annotations(detections), kind="bbox"
    )


def evaluate_coco(
    document: dict[str, Any], annotations: list[dict[str, Any]], *, kind: Literal["bbox", "segm"]
) -> AveragePrecision:
    """Annotations that were found, beside a document of those that are there, as COCO has them."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(document)
    found = truth.loadRes(annotations)
    evaluation = COCOeval_faster(truth, found, iouType=kind, print_function=_say_nothing)
    evaluation.evaluate()
    evaluation.accumulate()
    # [T, R, C, sizes (all, small, medium, large), most detections (1, 10, 100)]
    precision = np.asarray(evaluation.eval["precision"], dtype=np.float64)
    recall = np.asarray(evaluation.eval["recall"], dtype=np.float64)  # [T, C, sizes, most]
    at_most_100 = precision[..., -1]
    everything = at_most_100[..., 0]
    figures = {
        "AP": _mean(everything),
        "AP50": _mean(everything[0]),
        "AP75": _mean(everything[5]),
        "AP_small": _mean(at_most_100[..., 1]),
        "AP_medium": _mean(at_most_100[..., 2]),
        "AP_large": _mean(at_most_100[..., 3]),
        "AR": _mean(recall[..., 0, -1]),
    }
    classes = range(len(document["categories"]))
    return AveragePrecision(everything, figures, [_mean(everything[..., c]) for c in classes])


def _mean(values: NDArray[np.float64]) -> float:
    """Of those that are defined."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else float("nan")


def _truth_document(truths: Sequence[BoxTruth], classes: int) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image, truth in enumerate(truths):
        rows = zip(*(column.tolist() for column in truth), strict=True)
        for (x1, y1, x2, y2), label, crowd, area in rows:
            annotations.append(
                {
                    "id": len(annotations) + 1,  # 0 would mean that it was not matched
                    "image_id": image,
                    "category_id": label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": area,
                    "iscrowd": int(crowd),
                }
            )
    return {
        "images": [{"id": image} for image in range(len(truths))],
        "categories": [{"id": label, "name": str(label)} for label in range(classes)],
        "annotations": annotations,
    }


def _found_annotations(detections: Sequence[Detections]) -> list[dict[str, Any]]:
    annotations: list[dict[str, Any]] = []
    for image, found in enumerate(detections):
        rows = zip(*(column.tolist() for column in found), strict=True)
        for (x1, y1, x2, y2), score, label in rows:
            annotations.append(
                {
                    "image_id": image,
                    "category_id": label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": score,
                }
            )
    return annotations


def _say_nothing(*_: object) -> None:
    pass
