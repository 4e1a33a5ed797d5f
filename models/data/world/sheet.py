"""Contact sheets: many pictures, or a picture beside all its truths, on one page to look at."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from models.data.world.names import SHAPES
from models.data.world.records import Record
from models.data.world.views import Views

Picture = npt.NDArray[np.uint8]  # [H, W, 3]

_GAP_PX = 4
_PAPER = 24
_TABLE_AND_WALL = ((70, 66, 62), (112, 118, 126))
_NEAR_TO_FAR = ((252, 246, 186), (250, 160, 80), (196, 60, 96), (96, 26, 116), (20, 12, 48))


def tile_pictures(pictures: list[Picture], columns: int) -> Image.Image:
    """Pictures of one size in rows, with a narrow gap between them."""
    height, width, _ = pictures[0].shape
    rows = -(-len(pictures) // columns)
    sheet = np.full(
        (rows * (height + _GAP_PX) + _GAP_PX, columns * (width + _GAP_PX) + _GAP_PX, 3),
        _PAPER,
        np.uint8,
    )
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top, left = _GAP_PX + row * (height + _GAP_PX), _GAP_PX + column * (width + _GAP_PX)
        sheet[top : top + height, left : left + width] = picture
    return Image.fromarray(sheet)


def truth_rows(views: Views, records: list[Record]) -> list[Image.Image]:
    """A row for each scene: left and right image, depth, instances, classes with named boxes, and
    its caption below. The records are those of the same scenes."""
    truth, right = views.truth, views.right
    if truth is None or right is None:
        raise ValueError("a truth row shows the right image and the truths: render both")
    rows = []
    for i, record in enumerate(records):
        classes = _paint_classes(truth.classes[i].numpy(force=True))
        pictures = [
            views.image[i].numpy(force=True),
            right[i].numpy(force=True),
            colour_depth(truth.depth[i].numpy(force=True)),
            _paint_instances(truth.instances[i].numpy(force=True)),
            draw_boxes(classes, record["objects"]),
        ]
        rows.append(_with_caption(tile_pictures(pictures, len(pictures)), record["caption"]))
    return rows


def stack_rows(rows: list[Image.Image]) -> Image.Image:
    """Rows of one size, one below the other."""
    width, height = rows[0].size
    page = Image.new("RGB", (width, height * len(rows)))
    for number, row in enumerate(rows):
        page.paste(row, (0, number * height))
    return page


def colour_depth(depth: npt.NDArray[np.float32]) -> Picture:
    """Near is light, far is dark, from the nearest to the farthest point of this picture."""
    inverse = 1 / depth
    nearness = (inverse - inverse.min()) / max(float(np.ptp(inverse)), 1e-6)
    stops = np.linspace(1, 0, len(_NEAR_TO_FAR))[::-1]
    ramp = np.array(_NEAR_TO_FAR[::-1])
    channels = [np.interp(nearness, stops, ramp[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def draw_boxes(picture: Picture, objects: list[Record]) -> Picture:
    """The picture with the box and the name of each object of a record."""
    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(max(9, image.width // 22))
    for thing in objects:
        left, top, right, bottom = thing["box_xyxy_px"]
        pen.rectangle((left, top, right - 1, bottom - 1), outline=(255, 255, 255))
        _, above, width, below = pen.textbbox((0, 0), thing["name"], font=font)
        x = min(left, image.width - width - 2)
        y = top - below - 2 if top > below + 2 else min(bottom + 1, image.height - below - 2)
        pen.rectangle((x, y + above - 1, x + width + 1, y + below + 1), fill=(0, 0, 0))
        pen.text((x + 1, y), thing["name"], fill=(255, 255, 255), font=font)
    return np.asarray(image)


def _paint_instances(instances: npt.NDArray[np.uint8]) -> Picture:
    return _palette(int(instances.max()) + 1, first=((40, 40, 44),))[instances]


def _paint_classes(classes: npt.NDArray[np.uint8]) -> Picture:
    return _palette(len(_TABLE_AND_WALL) + len(SHAPES), first=_TABLE_AND_WALL)[classes]


def _palette(count: int, first: tuple[tuple[int, int, int], ...]) -> npt.NDArray[np.uint8]:
    """`first`, then colours around the wheel, each a golden angle from the one before."""
    hues = np.arange(max(count - len(first), 0)) * 0.381966 % 1
    wave = np.cos(2 * np.pi * (hues[:, None] - np.array([0, 1 / 3, 2 / 3])))
    return np.concatenate([np.array(first), 140 + 95 * wave]).astype(np.uint8)


def _with_caption(row: Image.Image, caption: str) -> Image.Image:
    size = max(11, row.height // 12)
    page = Image.new("RGB", (row.width, row.height + size + 8), (_PAPER,) * 3)
    page.paste(row, (0, 0))
    ink = ImageDraw.Draw(page)
    place = (2 * _GAP_PX, row.height)
    ink.text(place, caption, fill=(225, 225, 220), font=ImageFont.load_default(size))
    return page
