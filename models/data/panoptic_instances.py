"""COCO's instance format: one JSON file with outlines or runs, beside a folder of images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.data.coco import CocoFormatError, read_annotations
from models.data.panoptic import VOID, SegmentTruth
from models.data.panoptic_files import FileSegments


class CocoInstances(FileSegments):
    """The images that an annotation file lists, those without objects included; all labels are
    things. What no object covers is not known to be anything.

    Where objects overlap the smaller one is seen. Labels are numbered from 0 by `names`, or in the
    order of the categories' ids.
    """

    def __init__(self, images: Path, annotations: Path, names: Sequence[str] | None = None) -> None:
        document = read_annotations(annotations)
        try:
            by_name = {c["name"]: int(c["id"]) for c in document["categories"]}
            names = names or sorted(by_name, key=lambda name: by_name[name])
            if strangers := sorted(set(by_name) - set(names)):
                raise CocoFormatError(f"there are categories that are not in training: {strangers}")
            self._labels = {by_name[name]: names.index(name) for name in by_name}
            listed = document["images"]
            super().__init__(
                [images / image["file_name"] for image in listed],
                [(int(image["width"]), int(image["height"])) for image in listed],
                names,
                [True] * len(names),
                f"COCO instances {annotations.name}",
            )
            places = {image["id"]: place for place, image in enumerate(listed)}
            self._objects: list[list[Mapping[str, Any]]] = [[] for _ in listed]
            for annotation in document["annotations"]:
                if annotation["category_id"] not in self._labels:
                    raise CocoFormatError(f"no category has the id {annotation['category_id']}")
                self._objects[places[annotation["image_id"]]].append(annotation)
        except (KeyError, TypeError) as error:
            raise CocoFormatError(f"{annotations} is not in COCO's format: {error!r}") from error
        if not self.files:
            raise CocoFormatError(f"{annotations} lists no images")

    def truth(self, index: int) -> SegmentTruth:
        width, height = self._sizes[index].tolist()
        objects = self._objects[index]
        masks = [_mask(each["segmentation"], height, width) for each in objects]
        numbers = np.full((height, width), VOID, dtype=np.int16)
        for place in sorted(range(len(masks)), key=lambda place: -int(masks[place].sum())):
            numbers[masks[place]] = place
        return SegmentTruth(
            torch.from_numpy(numbers),
            torch.tensor([self._labels[o["category_id"]] for o in objects], dtype=torch.int64),
            torch.tensor([bool(o.get("iscrowd", 0)) for o in objects], dtype=torch.bool),
        )


def _mask(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    """Outlines [[x, y, x, y, ...], ...], or runs, compressed or not: bool [h, w]."""
    from faster_coco_eval.core import mask

    if isinstance(segmentation, list):
        runs = mask.merge(mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        runs = mask.frPyObjects(segmentation, height, width)
    else:
        runs = segmentation
    return np.asarray(mask.decode(runs), dtype=np.bool_)
