import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.data.boxed import PAD_VALUE
from models.data.coco import CocoFormatError, CocoImages

ANNOTATIONS: dict[str, Any] = {
    "images": [
        {"id": 40, "file_name": "wide.png", "width": 40, "height": 20},
        {"id": 7, "file_name": "empty.png", "width": 10, "height": 10},
        {"id": 12, "file_name": "tall.png", "width": 16, "height": 32},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
    "annotations": [
        {"id": 1, "image_id": 12, "category_id": 18, "bbox": [2, 4, 8, 16], "area": 90.5},
        {"id": 2, "image_id": 40, "category_id": 3, "bbox": [10, 5, 20, 10], "iscrowd": 0},
        {"id": 3, "image_id": 12, "category_id": 3, "bbox": [0, 0, 16, 32], "iscrowd": 1},
        {"id": 4, "image_id": 12, "category_id": 3, "bbox": [1, 2, 3, 4], "iscrowd": 0},
        {"id": 5, "image_id": 12, "category_id": 3, "bbox": [5, 5, 0, 4], "iscrowd": 0},
    ],
}


def write(folder: Path, document: Any = ANNOTATIONS) -> Path:
    path = folder / "instances.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def images(tmp_path: Path) -> CocoImages:
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[5:15, 10:30] = (255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.new("RGB", (10, 10), "blue").save(tmp_path / "empty.png")
    Image.new("L", (16, 32), 255).save(tmp_path / "tall.png")
    return CocoImages(tmp_path, write(tmp_path))


def test_categories_are_numbered_in_the_order_of_their_ids(images: CocoImages) -> None:
    assert images.names == ("car", "dog") and images.category_ids == (3, 18)
    assert images.image_ids == (40, 7, 12) and len(images) == 3


def test_crowds_and_empty_boxes_are_not_learnt(images: CocoImages) -> None:
    boxes, labels = images.boxes(torch.tensor([0, 1, 2]))
    assert labels.tolist() == [[0, -1], [-1, -1], [1, 0]]
    assert boxes[0, 0].tolist() == [10, 5, 30, 15]
    assert boxes[2].tolist() == [[2, 4, 10, 20], [1, 2, 4, 6]]
    assert (boxes[1] == 0).all()


def test_a_batch_of_empty_images_has_a_place_for_a_box(images: CocoImages) -> None:
    boxes, labels = images.boxes(torch.tensor([1]))
    assert boxes.shape == (1, 1, 4) and labels.tolist() == [[-1]]


def test_the_truth_holds_crowds_and_areas(images: CocoImages) -> None:
    truth = images.truth(2)
    assert truth.is_crowd.tolist() == [False, True, False]
    assert truth.areas_px.tolist() == [90.5, 512, 12]
    assert len(images.truth(1).labels) == 0


def test_a_letterbox_is_filled_with_grey(images: CocoImages) -> None:
    window = torch.tensor([[0.0, -10, 40, 30]])
    pixels = images.read(torch.tensor([0]), (80, 80), window)[0]
    assert (pixels[:20] == PAD_VALUE).all() and (pixels[60:] == PAD_VALUE).all()
    rows, columns = (pixels[..., 0] > 128).nonzero().T  # 114 < 128 < 255
    assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == [20, 30, 60, 50]


def test_a_window_inside_is_enlarged(images: CocoImages) -> None:
    window = torch.tensor([[10.0, 5, 30, 15]])
    pixels = images.read(torch.tensor([0]), (16, 32), window)[0]
    assert (pixels[1:-1, 1:-1] == torch.tensor([255, 0, 0])).all()


def test_a_window_beside_the_image_is_grey(images: CocoImages) -> None:
    pixels = images.read(torch.tensor([1]), (8, 8), torch.tensor([[20.0, 0, 30, 10]]))
    assert (pixels == PAD_VALUE).all()


def test_grey_images_become_rgb(images: CocoImages) -> None:
    pixels = images.read(torch.tensor([2]), (32, 16), torch.tensor([[0.0, 0, 16, 32]]))
    assert pixels.shape == (1, 32, 16, 3) and (pixels == 255).all()


def test_names_number_the_categories(images: CocoImages, tmp_path: Path) -> None:
    renumbered = CocoImages(tmp_path, write(tmp_path), ("dog", "cat", "car"))
    assert renumbered.boxes(torch.tensor([0]))[1].tolist() == [[2]]


def test_unknown_categories_are_named(images: CocoImages, tmp_path: Path) -> None:
    with pytest.raises(CocoFormatError, match=r"not in training: \['dog'\]"):
        CocoImages(tmp_path, write(tmp_path), ("car",))


def test_an_image_of_another_size_is_an_error(images: CocoImages, tmp_path: Path) -> None:
    Image.new("RGB", (11, 10)).save(tmp_path / "empty.png")
    with pytest.raises(CocoFormatError, match=r"empty.png is \(11, 10\) px"):
        images.read(torch.tensor([1]), (8, 8), torch.tensor([[0.0, 0, 10, 10]]))


def test_a_missing_image_is_an_error_when_it_is_read(images: CocoImages, tmp_path: Path) -> None:
    (tmp_path / "empty.png").unlink()
    with pytest.raises(ValueError, match=r"empty\.png is no image"):
        images.read(torch.tensor([1]), (8, 8), torch.tensor([[0.0, 0, 10, 10]]))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "holds no JSON object"),
        ({"images": []}, "KeyError"),
        ({**ANNOTATIONS, "images": [], "annotations": []}, "lists no images"),
        ({**ANNOTATIONS, "images": ANNOTATIONS["images"][:1]}, "KeyError"),
    ],
)
def test_another_format_is_explained(document: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(CocoFormatError, match=message):
        CocoImages(tmp_path, write(tmp_path, document))


def test_a_file_that_is_no_json_is_explained(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(CocoFormatError, match="cannot be read as JSON"):
        CocoImages(tmp_path, tmp_path / "x.json")
