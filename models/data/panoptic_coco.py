"""COCO's panoptic format: a JSON file, a folder of images, a folder of PNGs with segments."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from models.data.coco import CocoFormatError, read_annotations
from models.data.panoptic import VOID, SegmentTruth
from models.data.panoptic_files import FileSegments


class CocoPanoptic(FileSegments):
    """The images that an annotation file lists. `segments` holds a PNG for each, in which a pixel's
    segment is red + 256 green + 65536 blue, and 0 is not known.

    Labels are numbered from 0 by `names`, or in the order of the categories' ids.
    """

    def __init__(
        self, images: Path, annotations: Path, segments: Path, names: Sequence[str] | None = None
    ) -> None:
        document = read_annotations(annotations)
        try:
            names, is_thing = self._take_categories(document["categories"], names)
            by_image = {a["image_id"]: a for a in document["annotations"]}
            listed = [image for image in document["images"] if image["id"] in by_image]
            super().__init__(
                [images / image["file_name"] for image in listed],
                [(int(image["width"]), int(image["height"])) for image in listed],
                names,
                is_thing,
                f"COCO panoptic {annotations.name}",
            )
            own = [by_image[image["id"]] for image in listed]
            self._maps = [segments / annotation["file_name"] for annotation in own]
            self._infos = [[self._segment(s) for s in a["segments_info"]] for a in own]
        except (KeyError, TypeError) as error:
            raise CocoFormatError(
                f"{annotations} is not in COCO's panoptic format: {error!r}"
            ) from error
        if not self.files:
            raise CocoFormatError(f"{annotations} lists no images with segments")

    def truth(self, index: int) -> SegmentTruth:
        infos = self._infos[index]
        colours = _read_colours(self._maps[index], tuple(self._sizes[index].tolist()))
        ids = np.array([segment for segment, _, _ in infos], dtype=np.int64)
        order = np.argsort(ids)
        place = np.searchsorted(ids, colours, sorter=order).clip(max=max(len(ids) - 1, 0))
        if len(ids):
            numbers = order[place]
            numbers = np.where(ids[numbers] == colours, numbers, VOID)
        else:
            numbers = np.full(colours.shape, VOID)
        if strangers := sorted(set(np.unique(colours[numbers == VOID]).tolist()) - {0}):
            raise CocoFormatError(
                f"{self._maps[index]} shows segments unknown to the JSON file: {strangers[:5]}"
            )
        return SegmentTruth(
            torch.from_numpy(numbers.astype(np.int16)),
            torch.tensor([label for _, label, _ in infos], dtype=torch.int64),
            torch.tensor([crowd for _, _, crowd in infos], dtype=torch.bool),
        )

    def _take_categories(
        self, categories: Sequence[Mapping[str, Any]], names: Sequence[str] | None
    ) -> tuple[tuple[str, ...], list[bool]]:
        by_name = {category["name"]: category for category in categories}
        if names is None:
            names = sorted(by_name, key=lambda name: int(by_name[name]["id"]))
        if strangers := sorted(set(by_name) - set(names)):
            raise CocoFormatError(f"there are categories that are not in training: {strangers}")
        present = [name for name in names if name in by_name]
        self._labels = {int(by_name[name]["id"]): names.index(name) for name in present}
        is_thing = [bool(by_name[name]["isthing"]) if name in by_name else False for name in names]
        return tuple(names), is_thing

    def _segment(self, info: Mapping[str, Any]) -> tuple[int, int, bool]:
        return int(info["id"]), self._labels[info["category_id"]], bool(info.get("iscrowd", 0))


def _read_colours(path: Path, size: tuple[int, ...]) -> NDArray[np.int64]:
    try:
        with Image.open(path) as file:
            rgb = np.asarray(file.convert("RGB"), dtype=np.int64)
    except OSError as error:
        raise ValueError(f"{path} is no image that can be read: {error}") from error
    if rgb.shape[1::-1] != size:
        raise CocoFormatError(f"{path} is {rgb.shape[1::-1]} px, but its image is {size}")
    return rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
