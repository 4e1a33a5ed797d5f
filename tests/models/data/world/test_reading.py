from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from models.data.world import COLOURS, SHAPES, SceneSpec, WorldSpec, object_name, open_world
from models.data.world.reading import read_caption


def test_captions_of_the_world_say_what_is_seen(tmp_path: Path) -> None:
    spec = WorldSpec(
        SceneSpec(max_objects=5), 96, size_px=64, supersample=1, truths=("boxes", "captions")
    )
    world = open_world(spec, tmp_path)
    shapes, colours = world.array("box_shape")[:], world.array("box_colour")[:]
    for caption, rows in zip(
        world.column("captions"), zip(shapes, colours, strict=True), strict=True
    ):
        seen = Counter(
            object_name(COLOURS[c], SHAPES[s]) for s, c in zip(*rows, strict=True) if s >= 0
        )
        assert read_caption(str(caption)) == seen, caption


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("Two shiny red cubes beside a green ball", {"red cube": 2, "green ball": 1}),
        (
            "an orange torus, with three white tori on a cloth",
            {"orange torus": 1, "white torus": 3},
        ),
        ("an empty table", {}),
        ("a ball on a red horse", {}),
    ],
)
def test_a_caption_is_read(caption: str, said: dict[str, int]) -> None:
    assert read_caption(caption) == Counter(said)
