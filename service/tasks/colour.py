"""The colour in which a label is drawn."""

from __future__ import annotations

from service.bundle import Label
from service.imaging import Colour, class_colour


def label_colour(label: Label, index: int) -> Colour:
    """The bundle's, or else that of the label's place."""
    if label.colour is None:
        return class_colour(index)
    red, green, blue = bytes.fromhex(label.colour[1:])
    return red, green, blue
