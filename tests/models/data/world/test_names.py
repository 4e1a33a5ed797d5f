"""The lists of names."""

import pytest

from models.data.world import COLOURS, OBJECT_NAMES, SHAPES, object_name


def test_every_colour_and_shape_has_one_name() -> None:
    assert len(set(OBJECT_NAMES)) == len(SHAPES) * len(COLOURS) == 64


def test_the_index_of_a_name_is_shape_major() -> None:
    for s, shape in enumerate(SHAPES):
        for c, colour in enumerate(COLOURS):
            assert OBJECT_NAMES[s * len(COLOURS) + c] == object_name(colour, shape)


def test_an_unknown_object_has_no_name() -> None:
    with pytest.raises(ValueError, match="mauve"):
        object_name("mauve", "ball")
