"""Pictures of coloured things on a table, and answers of /segment as others read them."""

from __future__ import annotations

import io
from typing import Any

import cv2
import httpx
import numpy as np
from PIL import Image, ImageDraw
from pycocotools import mask as coco

from tests.serving import Running

SIZE = (384, 256)
"""Three pixels of the image are one of the input, twelve a cell."""
CELL = 12
LEFT_RED = (24, 48, 144, 144)
RIGHT_RED = (216, 48, 336, 144)
HOLE = (252, 84, 300, 120)
GREEN = (36, 180, 96, 228)
FLOOR = (0, 192, 384, 256)
PANOPTIC_TYPE = "image/vnd.panoptes.panoptic+png"
ROTATED = 6
"""The EXIF orientation of a camera held upright: the stored image must be turned clockwise."""


def scene(
    *rectangles: tuple[str, tuple[int, int, int, int]], size: tuple[int, int] = SIZE
) -> Image.Image:
    image = Image.new("RGB", size, "#727272")
    pen = ImageDraw.Draw(image)
    for colour, (left, top, right, bottom) in rectangles:
        pen.rectangle((left, top, right - 1, bottom - 1), fill=colour)
    return image


TABLE = scene(
    ("#0000ff", FLOOR),
    ("#ff0000", LEFT_RED),
    ("#ff1000", RIGHT_RED),
    ("#727272", HOLE),
    ("#00ff20", GREEN),
)
"""Two red things, one with a hole, and a green one that stands on blue stuff."""
FOUND = {"red": 2, "green": 1, "blue": 1}


def png(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def ask(server: Running, image: Image.Image | bytes, **params: Any) -> httpx.Response:
    content = image if isinstance(image, bytes) else png(image)
    response = server.client.post("/segment", content=content, params=params)
    assert response.status_code == 200, response.text
    return response


def told(server: Running, image: Image.Image | bytes, **params: Any) -> dict[str, Any]:
    (answer,) = ask(server, image, **params).json()["images"]
    return answer


def counted(answer: dict[str, Any]) -> dict[str, int]:
    labels = [segment["label"] for segment in answer["segments"]]
    return {label: labels.count(label) for label in labels}


def id_map(answer: dict[str, Any]) -> np.ndarray:
    """The masks of JSON, laid into one map by pycocotools; no two may share a pixel."""
    ids = np.zeros((answer["height"], answer["width"]), int)
    for segment in answer["segments"]:
        mask = coco.decode(segment["mask"]).astype(bool)
        assert not ids[mask].any()
        ids[mask] = segment["id"]
    return ids


def loaded(response: httpx.Response) -> np.ndarray:
    return np.load(io.BytesIO(response.content), allow_pickle=False)


def rgb2id(pixels: np.ndarray) -> np.ndarray:
    """As the panoptic API of COCO reads its files."""
    wide = pixels.astype(np.int64)
    return wide[..., 0] + 256 * wide[..., 1] + 256 * 256 * wide[..., 2]


def within(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Where the edge of a mask is no farther than so many pixels."""
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    image = mask.astype(np.uint8)
    return cv2.dilate(image, kernel) != cv2.erode(image, kernel)
