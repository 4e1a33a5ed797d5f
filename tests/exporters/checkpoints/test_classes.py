from pathlib import Path

import pytest
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from exporters.checkpoints.classes import UNNAMED, Classes, read_classes
from exporters.errors import CheckpointError


def test_coco_is_what_torchvision_says() -> None:
    published = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    expected = tuple(None if name in UNNAMED else name for name in published)
    assert read_classes("coco").names == expected
    assert len(read_classes("coco").labels) == 80


def test_a_file_names_one_class_a_line(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("__background__\nant\n\n bee \nN/A\nfür Elise\n\n")
    classes = read_classes(str(tmp_path / "labels.txt"))
    assert classes.names == (None, "ant", None, "bee", None, "für Elise")
    assert classes.labels == ("ant", "bee", "für Elise")
    assert (classes.named, classes.unnamed) == ([1, 3, 5], [0, 2, 4])


@pytest.mark.parametrize("text", ["", "ant\nant\n", "N/A\n"])
def test_labels_must_be_there_and_differ(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(CheckpointError, match="labels must be there and differ"):
        read_classes(str(tmp_path / "labels.txt"))


def test_background_may_be_left_out_where_it_is_class_0() -> None:
    classes = Classes(("ant", "bee"))
    assert classes.fitted(3, background_first=True).names == (None, "ant", "bee")
    assert classes.fitted(2, background_first=True) is classes
    with pytest.raises(CheckpointError, match="knows 3 classes, and 2 are named"):
        classes.fitted(3, background_first=False)
