"""One colour a class: stable by index, far apart also for people with red- or green-blindness."""

from __future__ import annotations

Colour = tuple[int, int, int]

# Each is the colour farthest in OKLab from all before it, seen by normal, protanopic and
# deuteranopic eyes (Machado et al. 2009), at a lightness that shows on photographs.
_BASE = (
    *("1f77e8", "ff9f1c", "b6144a", "22e5f2", "bf9bfe", "1dad9b", "d1ec77", "b66e1d"),
    *("d114b6", "fe656e", "5cda92", "2f38fe", "894a89", "fe6ec8", "f5a4d1", "bf5c6e"),
    *("8089f5", "6efeb6", "6ed1fe", "c89214", "fec814", "c865bf", "b64114", "5c65ad"),
    *("8014da", "adbf5c", "14ad5c", "ad4ad1", "da8092", "149241", "d14a92", "26adda"),
    *("fe2f41", "fead80", "5cec41", "b61477", "bf38fe", "a477da", "38c8a4", "4aecc8"),
)

_BLACK: Colour = (0, 0, 0)
_WHITE: Colour = (255, 255, 255)

_TURNS = ((_WHITE, 0.0), (_WHITE, 0.35), (_BLACK, 0.3), (_WHITE, 0.6), (_BLACK, 0.5))


def mix(colour: Colour, other: Colour, share: float) -> Colour:
    """`colour` with a `share` (0 to 1) of `other` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue


def shade(colour: Colour, turn: int) -> Colour:
    """The colour of the `turn`-th of several things that share it: the first has it as it is."""
    toward, share = _TURNS[turn % len(_TURNS)]
    return mix(colour, toward, share)


def _shades() -> tuple[Colour, ...]:
    base: list[Colour] = [(int(h[:2], 16), int(h[2:4], 16), int(h[4:], 16)) for h in _BASE]
    darker = [mix(colour, _BLACK, 0.3) for colour in base]
    lighter = [mix(colour, _WHITE, 0.4) for colour in base]
    return (*base, *darker, *lighter)


PALETTE = _shades()


def class_colour(index: int) -> Colour:
    """The colour of the class at `index`; the first 120 differ."""
    return PALETTE[index % len(PALETTE)]


def text_colour(background: Colour) -> Colour:
    """Near-black or white, whichever contrasts more with `background` (WCAG 2.2)."""
    luminance = _luminance(background)
    on_white, on_black = 1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05
    return (16, 16, 20) if on_black >= on_white else _WHITE


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (side / 255 for side in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
