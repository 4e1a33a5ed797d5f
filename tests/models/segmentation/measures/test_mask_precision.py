"""Mask precision against pycocotools."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor

from models.data.panoptic import SegmentTruth
from models.segmentation.measures import MaskPrecision

IS_THING = (False, True, True)


def random_image(draw: torch.Generator) -> tuple[SegmentTruth, Tensor, Tensor, Tensor]:
    """Squares on a floor of stuff; what is found is moved, or lost, or has another label."""
    numbers, found = torch.zeros(2, 60, 80, dtype=torch.int16)
    labels, said = [0], [0]
    for _ in range(6):
        x, y = (int(v) for v in torch.randint(0, 50, (2,), generator=draw))
        side = int(torch.randint(8, 24, (1,), generator=draw))
        step = int(torch.randint(-3, 4, (1,), generator=draw))
        numbers[y : y + side, x : x + side] = len(labels)
        labels.append(int(torch.randint(1, 3, (1,), generator=draw)))
        if torch.rand((), generator=draw) < 0.8:
            found[y : y + side, max(0, x + step) : x + step + side] = len(said)
            wrong = torch.rand((), generator=draw) < 0.2
            said.append(3 - labels[-1] if wrong else labels[-1])
    crowd = torch.rand(len(labels), generator=draw) < 0.15
    crowd[0] = False
    truth = SegmentTruth(numbers, torch.tensor(labels), crowd)
    return truth, found, torch.tensor(said), torch.rand(len(said), generator=draw)


def runs(mask: Tensor) -> Any:
    return coco_mask.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))


def test_agrees_with_pycocotools() -> None:
    draw = torch.Generator().manual_seed(0)
    ours = MaskPrecision(IS_THING)
    truths: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for image in range(12):
        truth, found, said, scores = random_image(draw)
        ours.add(truth, found, said, scores)
        for place, label in enumerate(truth.labels.tolist()):
            mask = truth.numbers == place
            if IS_THING[label] and mask.any():
                own = {"area": float(mask.sum()), "iscrowd": int(truth.is_crowd[place])}
                entry = {"id": len(truths) + 1, "image_id": image, "category_id": label, **own}
                truths.append({**entry, "segmentation": runs(mask)})
        for place, label in enumerate(said.tolist()):
            if IS_THING[label]:
                entry = {"image_id": image, "category_id": label, "score": float(scores[place])}
                results.append({**entry, "segmentation": runs(found == place)})
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = {
            "images": [{"id": image, "height": 60, "width": 80} for image in range(12)],
            "categories": [{"id": label} for label in (1, 2)],
            "annotations": truths,
        }
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = ours.measure().figures
    names = ("AP", "AP50", "AP75", "AP_small")
    assert 0.1 < figures["AP"] < 0.9
    assert [figures[n] for n in names] == pytest.approx(evaluation.stats[:4].tolist())


def test_masks_that_were_all_found_are_all_right() -> None:
    draw = torch.Generator().manual_seed(1)
    truth = random_image(draw)[0]
    measure = MaskPrecision(IS_THING)
    measure.add(truth, truth.numbers, truth.labels, torch.ones(len(truth.labels)))
    measured = measure.measure()
    assert measured.figures["AP"] == pytest.approx(1)
    assert measured.per_class[0] != measured.per_class[0]  # stuff has none
