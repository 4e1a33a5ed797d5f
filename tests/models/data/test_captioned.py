import numpy as np
import pytest
import torch

from models.data.captioned import ArrayCaptions, JoinedCaptions, distinct


def images(count: int, value: int) -> np.ndarray:
    return np.full((count, 8, 8, 3), value, np.uint8)


def test_sets_are_joined_one_after_the_other() -> None:
    first = ArrayCaptions(images(2, 10), ["a", "b"], "first")
    second = ArrayCaptions(np.full((3, 4, 4, 3), 20, np.uint8), [("c", "d"), "e", "f"], "second")
    joined = JoinedCaptions([first, second])
    assert len(joined) == 5 and joined.description == "first; second"
    assert [joined.texts(i) for i in range(5)] == [("a",), ("b",), ("c", "d"), ("e",), ("f",)]
    pixels = joined.read(torch.tensor([4, 0, 2, 1]), (8, 8))
    assert pixels[:, 0, 0, 0].tolist() == [20, 10, 20, 10]
    windows = torch.tensor([[0.0, 0.0, 0.5, 0.5]]).expand(2, 4)
    assert joined.read(torch.tensor([1, 3]), (6, 6), windows)[:, 3, 3, 1].tolist() == [10, 20]


def test_of_equal_captions_the_first_is_taken() -> None:
    found = distinct(ArrayCaptions(images(5, 0), ["a", "b", "a", "c", "d"], ""), 3)
    assert found.tolist() == [0, 1, 3]


def test_every_image_needs_its_text() -> None:
    with pytest.raises(ValueError, match="2 images"):
        ArrayCaptions(images(2, 0), ["a"], "")
    with pytest.raises(ValueError, match="nothing"):
        JoinedCaptions([])
