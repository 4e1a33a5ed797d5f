"""Captions say what is visible: the counts, the colours and the relation."""

import re
from collections import Counter
from functools import cache

import pytest
import torch

from models.data.world import (
    COLOURS,
    SHAPES,
    TABLETOP,
    VOCABULARY,
    Scenes,
    Views,
    caption_scenes,
    compose_scenes,
    object_name,
    render_views,
)
from models.data.world.vocabulary import EMPTY, NUMBERS, PLURALS, RELATIONS

SINGULARS = {plural: shape for shape, plural in PLURALS.items()}


@cache
def captioned() -> tuple[Scenes, Views, list[str]]:
    scenes = compose_scenes(TABLETOP, seed=9, indices=torch.arange(120))
    views = render_views(scenes, size_px=48)
    return scenes, views, caption_scenes(scenes, views)


def visible_names(scenes: Scenes, views: Views, i: int) -> Counter[str]:
    assert views.truth is not None
    boxes = views.truth.boxes
    ids = boxes.instance[i, : int(boxes.count[i])] - 1
    shapes, colours = scenes.shape[i, ids].tolist(), scenes.colour[i, ids].tolist()
    return Counter(object_name(COLOURS[c], SHAPES[s]) for s, c in zip(shapes, colours, strict=True))


def said_names(caption: str) -> Counter[str]:
    said: Counter[str] = Counter()
    pattern = rf"\b(a|an|{'|'.join(NUMBERS[2:])}) (?:matte |shiny )?({'|'.join(COLOURS)}) (\w+)"
    for number, colour, noun in re.findall(pattern, caption):
        count = NUMBERS.index(number) if number in NUMBERS else 1
        shape = noun if count == 1 else SINGULARS[noun]
        said[object_name(colour, shape)] += count
    return said


def test_captions_count_every_visible_object() -> None:
    scenes, views, captions = captioned()
    for i, caption in enumerate(captions):
        assert said_names(caption) == visible_names(scenes, views, i), caption


def test_some_captions_count_beyond_one() -> None:
    _, _, captions = captioned()
    assert sum(max(said_names(caption).values()) > 1 for caption in captions) > 15


def test_captions_use_only_the_vocabulary() -> None:
    _, _, captions = captioned()
    words = {word for caption in captions for word in caption.replace(",", " ,").split()}
    assert words <= set(VOCABULARY)


def test_articles_and_plurals_are_right() -> None:
    _, _, captions = captioned()
    text = " . ".join(captions)
    assert not re.search(r"\ba [aeiou]", text)
    assert not re.search(r"\ban [^aeiou]", text)


def test_every_relation_occurs() -> None:
    _, _, captions = captioned()
    text = " . ".join(captions)
    assert all(relation in text for relation in RELATIONS if relation != "near")


@pytest.mark.parametrize(
    ("relation", "axis", "sign"),
    [
        ("to the left of", 0, -1),
        ("to the right of", 0, 1),
        ("in front of", 1, 1),
        ("behind", 1, -1),
    ],
)
def test_relations_hold_in_the_picture(relation: str, axis: int, sign: int) -> None:
    """Left is left in pixels; what stands in front stands lower."""
    scenes, views, captions = captioned()
    assert views.truth is not None
    boxes = views.truth.boxes
    checked = 0
    for i, caption in enumerate(captions):
        if relation not in caption:
            continue
        first, second = (next(iter(said_names(part))) for part in caption.split(f" {relation} ", 1))
        feet: dict[str, list[float]] = {first: [], second: []}
        for row in range(int(boxes.count[i])):
            k = int(boxes.instance[i, row]) - 1
            name = object_name(COLOURS[scenes.colour[i, k]], SHAPES[scenes.shape[i, k]])
            left, _, right, bottom = boxes.xyxy_px[i, row].tolist()
            feet.setdefault(name, []).append(((left + right) / 2, bottom)[axis])
        gap = min(sign * (a - b) for a in feet[first] for b in feet[second])
        assert gap > -3, (caption, feet)  # a few pixels: feet can be hidden
        checked += 1
    assert checked > 3


def test_an_empty_table_is_called_so() -> None:
    scenes = compose_scenes(TABLETOP, seed=9, indices=torch.arange(1))
    scenes.present[:] = False
    assert caption_scenes(scenes, render_views(scenes, size_px=16)) == [EMPTY]


def test_captions_need_the_truths() -> None:
    scenes = compose_scenes(TABLETOP, seed=9, indices=torch.arange(1))
    with pytest.raises(ValueError, match="visible"):
        caption_scenes(scenes, render_views(scenes, size_px=16, truths=False))
