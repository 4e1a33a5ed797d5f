"""Segments of arrays and of files, in three formats, through windows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from models.data.boxed import cut_windows
from models.data.coco import CocoFormatError
from models.data.panoptic import VOID, ArraySegments, SegmentTruth, look_through
from models.data.panoptic_coco import CocoPanoptic
from models.data.panoptic_instances import CocoInstances
from models.data.panoptic_labels import LabelMaps

NAMES, IS_THING = ("table", "wall", "ball", "cube"), (False, False, True, True)
WHOLE = torch.tensor([[0.0, 0.0, 6.0, 4.0]])


def arrays() -> ArraySegments:
    """One image of 6 x 4: wall above, table below, a ball across both and a cube on the right."""
    classes = np.array([[1] * 6, [1] * 6, [0] * 6, [0] * 6], dtype=np.uint8)
    instances = np.zeros((4, 6), np.uint8)
    classes[1:3, 1:3], instances[1:3, 1:3] = 2, 2
    classes[2:, 5], instances[2:, 5] = 3, 1
    images = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(1, 4, 6, 3)
    return ArraySegments(images, instances[None], classes[None], NAMES, IS_THING, "a test")


def test_arrays_become_a_segment_a_stuff_label_and_one_an_object() -> None:
    truth = arrays().truth(0)
    assert truth.labels.tolist() == [0, 1, 3, 2] and not truth.is_crowd.any()
    assert truth.numbers.tolist() == [
        [1, 1, 1, 1, 1, 1],
        [1, 3, 3, 1, 1, 1],
        [0, 3, 3, 0, 0, 2],
        [0, 0, 0, 0, 0, 2],
    ]


def test_a_window_leaves_out_what_it_does_not_show() -> None:
    window = torch.tensor([[-3.0, 0.0, 3.0, 2.0]])  # nothing, and the upper left of the image
    segments = arrays().segments(torch.tensor([0]), (2, 6), window)
    assert segments.labels.tolist() == [[-1, 1, -1, 2]]  # neither table nor cube
    assert segments.numbers[0].tolist() == [[-1, -1, -1, 1, 1, 1], [-1, -1, -1, 1, 3, 3]]


def test_segments_lie_where_the_pixels_lie() -> None:
    """A map looked at through windows is the picture of it, cut likewise."""
    draw = torch.Generator().manual_seed(0)
    numbers = torch.randint(0, 2, (3, 5, 6), generator=draw).repeat_interleave(8, 1)
    numbers = numbers.repeat_interleave(8, 2)  # [3, 40, 48] of large squares
    windows = torch.tensor([[0.0, 0, 48, 40], [-5, -7, 60, 55], [10.3, 3.7, 31.1, 22.9]])
    (seen,), inside = look_through([numbers], windows, (33, 47))
    planes = cut_windows(numbers[:, None] * 255.0, windows, (33, 47))[:, 0]
    sure = inside & ((planes < 60) | (planes > 195))  # not where two squares meet
    assert sure.float().mean() > 0.6
    assert torch.equal(seen[sure], (planes[sure] > 127).long())


def write_images(folder: Path, *names: str, size: tuple[int, int] = (6, 4)) -> None:
    folder.mkdir()
    for name in names:
        Image.new("RGB", size, "blue").save(folder / name)


def coloured(numbers: list[list[int]]) -> Image.Image:
    values = np.array(numbers)
    rgb = np.stack([values % 256, values // 256 % 256, values // 65536], -1)
    return Image.fromarray(rgb.astype(np.uint8))


IDS = [[70000] * 6, [70000, 5, 5, 70000, 300, 300], [0, 5, 5, 0, 300, 300], [0] * 6]
PANOPTIC: dict[str, Any] = {
    "images": [
        {"id": 9, "file_name": "a.png", "width": 6, "height": 4},
        {"id": 3, "file_name": "none.png", "width": 6, "height": 4},
    ],
    "categories": [
        {"id": 7, "name": "ball", "isthing": 1},
        {"id": 2, "name": "sky", "isthing": 0},
    ],
    "annotations": [
        {
            "image_id": 9,
            "file_name": "a_map.png",
            "segments_info": [
                {"id": 5, "category_id": 7, "iscrowd": 0},
                {"id": 70000, "category_id": 2},
                {"id": 300, "category_id": 7, "iscrowd": 1},
            ],
        }
    ],
}


def panoptic(folder: Path, document: Any = PANOPTIC, ids: Any = IDS) -> CocoPanoptic:
    write_images(folder / "images", "a.png")
    (folder / "maps").mkdir()
    coloured(ids).save(folder / "maps" / "a_map.png")
    (folder / "panoptic.json").write_text(json.dumps(document))
    return CocoPanoptic(folder / "images", folder / "panoptic.json", folder / "maps")


def test_cocos_panoptic_format_keeps_segments_labels_and_crowds(tmp_path: Path) -> None:
    images = panoptic(tmp_path)
    assert len(images) == 1 and images.names == ("sky", "ball")
    assert images.is_thing == (False, True)
    truth = images.truth(0)
    assert truth.labels.tolist() == [1, 0, 1]
    assert truth.is_crowd.tolist() == [False, False, True]
    places = {5: 0, 70000: 1, 300: 2, 0: VOID}
    assert truth.numbers.tolist() == [[places[i] for i in row] for row in IDS]


def test_a_crowd_is_nothing_to_learn(tmp_path: Path) -> None:
    images = panoptic(tmp_path)
    segments = images.segments(torch.tensor([0]), (4, 6), WHOLE)
    assert segments.labels.tolist() == [[1, 0, -1]]
    assert (segments.numbers[0, 1:3, 4:] == VOID).all()
    pixels = images.read(torch.tensor([0]), (4, 6), WHOLE)
    assert pixels.shape == (1, 4, 6, 3) and (pixels[..., 2] == 255).all()


def test_a_map_and_its_json_must_agree(tmp_path: Path) -> None:
    images = panoptic(tmp_path, ids=[[4] * 6] * 4)
    with pytest.raises(CocoFormatError, match=r"unknown to the JSON file: \[4\]"):
        images.truth(0)


def test_another_format_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(CocoFormatError, match="panoptic format"):
        panoptic(tmp_path, {**PANOPTIC, "annotations": [{"image_id": 9, "bbox": [1, 2, 3, 4]}]})


def instances(folder: Path) -> CocoInstances:
    write_images(folder / "images", "a.png", "b.png", size=(40, 30))
    square = {"segmentation": [[5, 5, 25, 5, 25, 25, 5, 25]], "category_id": 4}
    inner = {"segmentation": [[10, 10, 15, 10, 15, 15, 10, 15]], "category_id": 2}
    runs = {"size": [30, 40], "counts": [30 * 39, 30]}  # the last column
    crowd = {"segmentation": runs, "category_id": 2, "iscrowd": 1}
    document = {
        "images": [
            {"id": 1, "file_name": "a.png", "width": 40, "height": 30},
            {"id": 2, "file_name": "b.png", "width": 40, "height": 30},
        ],
        "categories": [{"id": 4, "name": "plate"}, {"id": 2, "name": "pea"}],
        "annotations": [
            {"id": i, "image_id": 1, **each} for i, each in enumerate((inner, square, crowd))
        ],
    }
    (folder / "instances.json").write_text(json.dumps(document))
    return CocoInstances(folder / "images", folder / "instances.json")


def test_cocos_instances_are_things_and_the_smaller_lies_on_top(tmp_path: Path) -> None:
    images = instances(tmp_path)
    assert images.names == ("pea", "plate") and images.is_thing == (True, True)
    truth = images.truth(0)
    assert truth.labels.tolist() == [0, 1, 0] and truth.is_crowd.tolist() == [False, False, True]
    counts = [int((truth.numbers == place).sum()) for place in (VOID, 0, 1, 2)]
    assert counts == [1200 - 400 - 30, 25, 400 - 25, 30]
    assert (truth.numbers[:, 39] == 2).all() and (truth.numbers[10:15, 10:15] == 0).all()


def test_an_image_without_objects_has_no_segments(tmp_path: Path) -> None:
    images = instances(tmp_path)
    truth = images.truth(1)
    assert len(truth.labels) == 0 and (truth.numbers == VOID).all()
    whole = torch.tensor([[0.0, 0, 40, 30]])
    assert images.segments(torch.tensor([1]), (30, 40), whole).labels.tolist() == [[-1]]


def semantic(folder: Path, values: Tensor) -> LabelMaps:
    write_images(folder / "images", "a.jpg", "unlabelled.jpg")
    (folder / "maps").mkdir()
    Image.fromarray(values.to(torch.uint8).numpy()).save(folder / "maps" / "a.png")
    return LabelMaps(folder / "images", folder / "maps", NAMES)


def test_semantic_maps_are_one_stuff_segment_a_label(tmp_path: Path) -> None:
    values = torch.tensor([[3, 3, 255, 1, 1, 1]]).repeat(4, 1)
    images = semantic(tmp_path, values)
    assert len(images) == 1 and not any(images.is_thing)
    truth: SegmentTruth = images.truth(0)
    assert truth.labels.tolist() == [1, 3]
    assert truth.numbers[0].tolist() == [1, 1, VOID, 0, 0, 0]


def test_a_label_beyond_the_names_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no labels below 4"):
        semantic(tmp_path, torch.full((4, 6), 4)).truth(0)
