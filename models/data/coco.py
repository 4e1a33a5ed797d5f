"""COCO's format for boxes: one JSON file beside a folder of images."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from models.data.boxed import PAD_VALUE, BoxTruth

# Legend: N images, B of a batch, K places for boxes, M annotations of the file, H W pixels.


class CocoFormatError(ValueError):
    """An annotation file that is not COCO's, or that contradicts itself."""


class CocoImages:
    """The images that an annotation file lists, those without annotations included.

    Categories are numbered from 0 by `names`, or in the order of their ids; `category_ids` says
    which is which. Boxes without area are left out. Images are decoded whenever they are read.
    """

    def __init__(self, images: Path, annotations: Path, names: Sequence[str] | None = None) -> None:
        document = read_annotations(annotations)
        try:
            self._take_categories(document["categories"], names)
            self._take_images(images, document["images"])
            self._take_annotations(document["annotations"])
        except (KeyError, TypeError) as error:
            raise CocoFormatError(f"{annotations} is not in COCO's format: {error!r}") from error
        if not self.files:
            raise CocoFormatError(f"{annotations} lists no images")
        self.description = f"COCO {annotations.name}, {len(self.files)} images"

    def __len__(self) -> int:
        return len(self.files)

    def sizes_px(self, indices: Tensor) -> Tensor:
        return self._sizes[indices]

    def read(self, indices: Tensor, size: tuple[int, int], windows_px: Tensor) -> Tensor:
        """See `BoxedImages.read`."""
        result = torch.full((len(indices), *size, 3), PAD_VALUE, dtype=torch.uint8)  # [B, H, W, 3]
        for row, index in enumerate(indices.tolist()):
            width, height = self._sizes[index].tolist()
            pixels = result[row].numpy()
            paste_window(self.files[index], (width, height), windows_px[row].tolist(), pixels)
        return result

    def boxes(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """See `BoxedImages.boxes`; crowds are left out."""
        rows = [self._rows(i)[~self._crowd[self._rows(i)]] for i in indices.tolist()]
        most = max(1, *(len(row) for row in rows))  # losses need a place, if only an empty one
        boxes = torch.zeros(len(rows), most, 4)
        labels = torch.full((len(rows), most), -1, dtype=torch.int64)
        for place, row in enumerate(rows):
            boxes[place, : len(row)] = self._boxes[row]
            labels[place, : len(row)] = self._labels[row]
        return boxes, labels

    def truth(self, index: int) -> BoxTruth:
        rows = self._rows(index)
        return BoxTruth(self._boxes[rows], self._labels[rows], self._crowd[rows], self._areas[rows])

    def _rows(self, index: int) -> Tensor:
        return self._order[self._starts[index] : self._starts[index + 1]]

    def _take_categories(
        self, categories: Sequence[Mapping[str, Any]], names: Sequence[str] | None
    ) -> None:
        by_name = {category["name"]: int(category["id"]) for category in categories}
        if names is None:
            names = sorted(by_name, key=lambda name: by_name[name])
        if strangers := sorted(set(by_name) - set(names)):
            raise CocoFormatError(f"there are categories that are not in training: {strangers}")
        self.names = tuple(names)
        self.category_ids = tuple(by_name.get(name, -1) for name in self.names)

    def _take_images(self, folder: Path, images: Sequence[Mapping[str, Any]]) -> None:
        self.image_ids = tuple(int(image["id"]) for image in images)
        self.files = [folder / image["file_name"] for image in images]
        sizes = [(int(image["width"]), int(image["height"])) for image in images]
        self._sizes = torch.tensor(sizes, dtype=torch.int64).view(-1, 2)  # [N, 2]

    def _take_annotations(self, annotations: Sequence[Mapping[str, Any]]) -> None:
        image_numbers = {image_id: i for i, image_id in enumerate(self.image_ids)}
        labels = {category: i for i, category in enumerate(self.category_ids)}
        kept = [a for a in annotations if a["bbox"][2] > 0 and a["bbox"][3] > 0]
        xywh = torch.tensor([a["bbox"] for a in kept], dtype=torch.float32).view(-1, 4)  # [M, 4]
        self._boxes = torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1)
        self._labels = torch.tensor([labels[a["category_id"]] for a in kept], dtype=torch.int64)
        self._crowd = torch.tensor([bool(a.get("iscrowd", 0)) for a in kept], dtype=torch.bool)
        areas = [float(a.get("area", a["bbox"][2] * a["bbox"][3])) for a in kept]
        self._areas = torch.tensor(areas, dtype=torch.float32)
        owners = torch.tensor([image_numbers[a["image_id"]] for a in kept], dtype=torch.int64)
        self._order = owners.argsort(stable=True)
        counts = torch.bincount(owners, minlength=len(self.image_ids))
        self._starts = [0, *counts.cumsum(0).tolist()]


def read_annotations(path: Path) -> dict[str, Any]:
    """What a file says, if it is a JSON object."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise CocoFormatError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(document, dict):
        raise CocoFormatError(f"{path} holds no JSON object at its top")
    return document


def paste_window(
    path: Path, size: tuple[int, int], window: Sequence[float], pixels: "np.ndarray[Any, Any]"
) -> None:
    """Fill that part of `pixels` [H, W, 3] where the window shows the image."""
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file).convert("RGB")
    except OSError as error:
        raise ValueError(f"{path} is no image that can be read: {error}") from error
    if image.size != size:
        raise CocoFormatError(f"{path} is {image.size} px, but its annotations say {size}")
    left, right, from_x1, from_x2 = _overlap(window[0], window[2], pixels.shape[1], size[0])
    top, bottom, from_y1, from_y2 = _overlap(window[1], window[3], pixels.shape[0], size[1])
    if right <= left or bottom <= top:
        return
    box = (from_x1, from_y1, from_x2, from_y2)
    shown = image.resize(
        (right - left, bottom - top), Image.Resampling.BILINEAR, box, reducing_gap=2.0
    )
    pixels[top:bottom, left:right] = np.asarray(shown)


def _overlap(
    start: float, end: float, target_px: int, image_px: int
) -> tuple[int, int, float, float]:
    """Along one axis: whole pixels of the target that show the image, and what they show of it."""
    scale = target_px / (end - start)
    first = min(max(round(-start * scale), 0), target_px)
    last = min(max(round((image_px - start) * scale), 0), target_px)
    shown = (start + first / scale, start + last / scale)
    return first, last, max(shown[0], 0.0), min(shown[1], float(image_px))
