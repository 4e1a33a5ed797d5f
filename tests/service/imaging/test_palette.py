"""Colours are stable and far apart, for colour-blind eyes too; text on them can be read."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from service.imaging.palette import PALETTE, Colour, class_colour, shade, text_colour

# Machado, Oliveira & Fernandes (2009), severity 1.0, on linear RGB.
EYES = {
    "normal": np.eye(3),
    "protanopic": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopic": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def linear(colour: Colour) -> np.ndarray:
    side = np.array(colour) / 255
    return np.where(side <= 0.04045, side / 12.92, ((side + 0.055) / 1.055) ** 2.4)


def oklab(colour: Colour, eye: np.ndarray) -> np.ndarray:
    """https://bottosson.github.io/posts/oklab/"""
    seen = np.clip(eye @ linear(colour), 0, 1)
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    lab = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return lab @ np.cbrt(cones @ seen)


@pytest.mark.parametrize("eye", list(EYES))
def test_the_first_twelve_are_told_apart(eye: str) -> None:
    colours = [oklab(class_colour(index), EYES[eye]) for index in range(12)]
    assert min(np.linalg.norm(a - b) for a, b in combinations(colours, 2)) > 0.07


def test_the_first_120_differ_and_then_they_repeat() -> None:
    assert len(set(PALETTE)) == len(PALETTE) == 120
    assert class_colour(3) == class_colour(123) == PALETTE[3]


def test_the_palette_does_not_move() -> None:
    assert [class_colour(index) for index in (0, 1, 2, 40)] == [
        *((31, 119, 232), (255, 159, 28), (182, 20, 74), (22, 83, 162)),
    ]


@pytest.mark.parametrize("colour", PALETTE)
def test_text_is_readable_on_every_colour(colour: Colour) -> None:
    weights = np.array([0.2126, 0.7152, 0.0722])
    light, dark = sorted(
        (float(weights @ linear(c)) for c in (colour, text_colour(colour))), reverse=True
    )
    assert (light + 0.05) / (dark + 0.05) > 4.0  # WCAG asks for 4.5, or 3 for large text


def test_several_things_of_one_colour_have_shades_of_it() -> None:
    colour = class_colour(0)
    shades = [shade(colour, turn) for turn in range(5)]
    assert shades[0] == colour == shade(colour, 5)
    distances = [np.linalg.norm(np.subtract(one, other)) for one, other in combinations(shades, 2)]
    assert min(distances) > 30
