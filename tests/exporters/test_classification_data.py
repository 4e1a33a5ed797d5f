from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exporters.classification_data import read_labelled
from exporters.errors import ExportError
from models.classification import ClassifierSpec

SPEC = ClassifierSpec("small", ("dark", "light"), input_size=(8, 8))
GREYS = {"dark": 20, "light": 230}


def write_folder(root: Path, splits: tuple[str, ...], count: int = 6) -> Path:
    for split in splits:
        for label, grey in GREYS.items():
            folder = root / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                # The last bits tell the images, and the splits, apart.
                shade = grey + index + 6 * (split != "train")
                Image.new("RGB", (12, 10), (shade,) * 3).save(folder / f"{index}.png")
    return root


def shades(images: np.ndarray) -> set[int]:
    return set(images[:, 0, 0, 0].tolist())


def test_calibration_sees_training_images_and_evaluation_others(tmp_path: Path):
    root = str(write_folder(tmp_path, ("train", "test", "val")))
    calibration = read_labelled(root, SPEC, {}, use="calibrate", count=99)
    evaluation = read_labelled(root, SPEC, {}, use="evaluate", count=99)
    assert len(calibration) == len(evaluation) == 12
    assert not shades(calibration.images) & shades(evaluation.images)
    assert "test" in evaluation.description
    np.testing.assert_array_equal(evaluation.images[:, 0, 0, 0] > 100, evaluation.labels == 1)


def test_validation_images_evaluate_where_there_are_no_test_images(tmp_path: Path):
    root = str(write_folder(tmp_path, ("train", "val")))
    assert "val" in read_labelled(root, SPEC, {}, use="evaluate", count=99).description


def test_a_part_is_drawn_from_all_classes_and_says_so(tmp_path: Path):
    root = str(write_folder(tmp_path, ("train",), count=20))
    drawn = read_labelled(root, SPEC, {}, use="calibrate", count=12)
    assert len(drawn) == 12 and set(drawn.labels) == {0, 1}
    assert drawn.description.endswith("12 drawn by seed 0")
    again = read_labelled(root, SPEC, {}, use="calibrate", count=12)
    np.testing.assert_array_equal(drawn.images, again.images)


def test_the_recipe_says_where_the_data_lies(tmp_path: Path):
    write_folder(tmp_path, ("train", "test"))
    metadata = {"recipe": {"data": {"folder": {"root": str(tmp_path)}, "world": None}}}
    assert len(read_labelled("recipe", SPEC, metadata, use="evaluate", count=99)) == 12


@pytest.mark.parametrize("metadata", [{}, {"recipe": None}, {"recipe": {"data": {"planet": {}}}}])
def test_a_checkpoint_that_names_no_data_says_what_to_do(metadata: dict[str, object]):
    with pytest.raises(ExportError, match="name an image folder"):
        read_labelled("recipe", SPEC, metadata, use="evaluate", count=1)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ExportError, match="calibrate"):
        read_labelled(str(tmp_path), SPEC, {}, use="calibrate", count=1)
