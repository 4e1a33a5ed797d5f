"""Captions in plain English: "two red cubes beside a green ball, with a cyan cone"."""

from dataclasses import dataclass

from torch import Tensor

from models.data.world.names import COLOURS, MATERIALS, SHAPES
from models.data.world.scenes import Scenes
from models.data.world.views import Views
from models.data.world.vocabulary import (
    BEHIND,
    BESIDE,
    EMPTY,
    FRONT,
    LEFT,
    NEAR,
    NUMBERS,
    ON_TABLES,
    PLURALS,
    RIGHT,
)

_CLOSE_M = 1.15  # centres nearer than this are beside one another
_CLEARLY = 1.3  # how much more to the side than in depth is "to the left", and the reverse

# Bits of a scene's `telling`: one in four captions names materials, one in three the table.
_MATERIAL, _TABLE, _BESIDE = 4, 3, 2


@dataclass(frozen=True)
class _Group:
    """The visible objects of one colour and shape, each at (aside, away) metres."""

    colour: int
    shape: int
    materials: tuple[int, ...]
    places: tuple[tuple[float, float], ...]


def caption_scenes(scenes: Scenes, views: Views) -> list[str]:
    """One caption a scene, as seen from the camera.

    It counts every visible object, those with a box, and states one relation where one holds
    between all members of two groups.
    """
    if views.truth is None:
        raise ValueError("captions need to know what is visible: render with truths=True")
    boxes = views.truth.boxes
    aside, away = (place.tolist() for place in _seen_places(scenes))
    names = zip(
        *(x.tolist() for x in (scenes.colour, scenes.shape, scenes.material, boxes.instance)),
        strict=True,
    )
    tellings, tables = scenes.telling.tolist(), scenes.room.table.tolist()
    captions = []
    for i, (colours, shapes, materials, instances) in enumerate(names):
        members: dict[tuple[int, int], list[int]] = {}
        for k in (instance - 1 for instance in instances if instance):
            members.setdefault((colours[k], shapes[k]), []).append(k)
        groups = [
            _Group(
                colour,
                shape,
                materials=tuple(materials[k] for k in ks),
                places=tuple((aside[i][k], away[i][k]) for k in ks),
            )
            for (colour, shape), ks in members.items()
        ]
        captions.append(_caption(groups, tables[i], tellings[i]))
    return captions


def _seen_places(scenes: Scenes) -> tuple[Tensor, Tensor]:
    """How far to the camera's right and how far away along the table each object stands, [B, K]."""
    camera = scenes.camera
    gap_x = scenes.position[0] - camera.eye[0, :, None]
    gap_z = scenes.position[2] - camera.eye[2, :, None]
    right_x, right_z = camera.right[0, :, None], camera.right[2, :, None]  # it is level
    return gap_x * right_x + gap_z * right_z, gap_z * right_x - gap_x * right_z


def _caption(groups: list[_Group], table: int, telling: int) -> str:
    if not groups:
        return EMPTY
    telling, with_material = divmod(telling, _MATERIAL)
    telling, with_table = divmod(telling, _TABLE)
    loosely = telling % _BESIDE == 0
    first, relation, second = _best_relation(groups, loosely)
    ordered = [first, *([second] if second else [])]
    ordered += [group for group in groups if group not in ordered]
    nouns = [_noun(group, with_material == 0) for group in ordered]
    if relation is None:
        said = _listed(nouns)
    else:
        said = f"{nouns[0]} {relation} {nouns[1]}"
        said += f", with {_listed(nouns[2:])}" if nouns[2:] else ""
    return f"{said} {ON_TABLES[table]}" if with_table == 0 else said


def _best_relation(groups: list[_Group], loosely: bool) -> tuple[_Group, str | None, _Group | None]:
    """The first pair of groups between which a relation holds."""
    for i, first in enumerate(groups):
        for second in groups[i + 1 :]:
            if relation := _relation(first, second, loosely):
                return first, relation, second
    return groups[0], None, None


def _relation(first: _Group, second: _Group, loosely: bool) -> str | None:
    """How the first group stands to the second, if all its members stand alike to all of that."""
    found = {_pair_relation(a, b, loosely) for a in first.places for b in second.places}
    return found.pop() if len(found) == 1 else None


def _pair_relation(a: tuple[float, float], b: tuple[float, float], loosely: bool) -> str | None:
    right, farther = a[0] - b[0], a[1] - b[1]
    close = right**2 + farther**2 < _CLOSE_M**2
    if abs(right) > _CLEARLY * abs(farther):
        if close and loosely:
            return BESIDE
        return RIGHT if right > 0 else LEFT
    if abs(farther) > _CLEARLY * abs(right):
        return BEHIND if farther > 0 else FRONT
    return NEAR if close else None


def _listed(nouns: list[str]) -> str:
    return nouns[0] if len(nouns) == 1 else f"{', '.join(nouns[:-1])} and {nouns[-1]}"


def _noun(group: _Group, with_material: bool) -> str:
    """ "two shiny red cubes", "an orange ball" """
    words = [COLOURS[group.colour]]
    if with_material and len(set(group.materials)) == 1:
        words.insert(0, MATERIALS[group.materials[0]])
    count = len(group.places)
    if count > 1:
        return " ".join((NUMBERS[count], *words, PLURALS[SHAPES[group.shape]]))
    article = "an" if words[0][0] in "aeiou" else "a"
    return " ".join((article, *words, SHAPES[group.shape]))
