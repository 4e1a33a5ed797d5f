"""The evaluation of a checkpoint: all figures, and sheets of typical and of the worst answers."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from models.data.panoptic import SegmentedImages
from models.detection.windows import fit_windows
from models.segmentation.checkpoint import load_segmenter
from models.segmentation.data import open_segmented_images
from models.segmentation.measures import PanopticQuality, SegmentMeasures
from models.segmentation.pictures import Painting, draw_sheet
from models.segmentation.recipe import DataSpec, PanopticData, PanopticSplit
from models.segmentation.segmenting import PAPER, Found, Shown, segment_all
from models.training.plain import from_plain
from models.training.task import Place

#: How many images a sheet holds.
SHOWN = 6


def evaluate_segmenter(
    checkpoint: Path,
    *,
    split: str | None = None,
    panoptic: PanopticSplit | None = None,
    scenes: int | None = None,
    shown: Shown = PAPER,
    out: Path,
    device: str = "cpu",
) -> dict[str, Any]:
    """Measure a checkpoint on the test split of its own data, or on other files.

    Writes `evaluation.json`, `typical.png` and `worst.png`: image, truth, answer.
    """
    network, spec, metadata = load_segmenter(checkpoint)
    data = _data(metadata, panoptic, scenes)
    images = open_segmented_images(data, split or _test_split(data), names=spec.labels)
    place = Place(torch.device(device))
    network.to(place.device)
    measures = SegmentMeasures(spec.is_thing)
    each = []
    for found in segment_all(network, spec, images, place, shown=shown):
        measures.add(images.truth(found.image), found)
        each.append(_quality(images, found))
    report: dict[str, Any] = {
        "checkpoint": str(checkpoint),
        "data": images.description,
        "samples": len(images),
        "parameters": sum(p.numel() for p in network.parameters()),
        "thresholds": shown._asdict(),
        **{name: _number(value) for name, value in measures.figures().items()},
        "per_label": _per_label(measures, spec.labels),
        "provenance": metadata.get("provenance", {}),
    }
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False)
    (out / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    order = torch.tensor(each).nan_to_num(1.0).argsort()
    middle = max(0, (len(order) - SHOWN) // 2)
    for name, chosen in (("typical", order[middle:][:SHOWN]), ("worst", order[:SHOWN])):
        founds = segment_all(network, spec, images, place, shown=shown, chosen=chosen)
        _draw(list(founds), images, out / f"{name}.png")
    return report


def _data(metadata: dict[str, Any], panoptic: PanopticSplit | None, scenes: int | None) -> DataSpec:
    if panoptic is not None:
        return DataSpec(panoptic=PanopticData(train=panoptic, val=panoptic, test=panoptic))
    if "recipe" not in metadata:
        raise ValueError("this checkpoint names no data: give images, annotations and segments")
    data = from_plain(DataSpec, metadata["recipe"]["data"], "recipe.data")
    if scenes is None:
        return data
    if data.world is None:
        raise ValueError("only the world has as many scenes as one asks for")
    return DataSpec(world=replace(data.world, test=scenes, val=scenes, train=scenes))


def _test_split(data: DataSpec) -> str:
    files = data.panoptic or data.instances or data.semantic
    return "val" if files is not None and files.test is None else "test"


def _quality(images: SegmentedImages, found: Found) -> float:
    """The panoptic quality of one image; not a number where nothing is and nothing was found."""
    quality = PanopticQuality.zero(len(images.names))
    quality.add(images.truth(found.image), found.numbers, found.labels)
    return quality.figures(images.is_thing)["PQ"]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def _per_label(measures: SegmentMeasures, labels: Sequence[str]) -> dict[str, Any]:
    quality = measures.quality.per_label().tolist()
    iou = measures.labels.per_label().tolist()
    return {
        label: {
            **dict(zip(("PQ", "SQ", "RQ"), map(_number, row), strict=True)),
            "IoU": _number(one),
        }
        for label, row, one in zip(labels, quality, iou, strict=True)
    }


def _draw(founds: Sequence[Found], images: SegmentedImages, path: Path) -> None:
    rows, captions = [], []
    for found in founds:
        truth = images.truth(found.image)
        index = torch.tensor([found.image])
        height, width = truth.numbers.shape
        whole = fit_windows(images.sizes_px(index), (height, width), "stretch")
        (pixels,) = images.read(index, (height, width), whole)
        real, said = Painting(*truth[:2]), Painting(found.numbers, found.labels)
        rows.append((pixels, real, said))
        captions.append(
            f"image {found.image}: PQ {_quality(images, found):.2f}, {len(said.labels)} segments "
            f"found, {len(real.labels)} are there"
        )
    draw_sheet(rows, captions, images.names, images.is_thing, path)
