"""What a caption says: how many objects of which colour and shape."""

from collections import Counter

from models.data.world.names import COLOURS, SHAPES, object_name
from models.data.world.vocabulary import NUMBERS, PLURALS

_COUNTS = {"a": 1, "an": 1} | {word: count for count, word in enumerate(NUMBERS)}
_SHAPES = {shape: shape for shape in SHAPES} | {many: one for one, many in PLURALS.items()}


def read_caption(caption: str) -> Counter[str]:
    """Object name -> how many: "two red cubes beside a green ball" -> red cube 2, green ball 1.

    It reads what `caption_scenes` writes. Where things stand, on what and of what they are made is
    passed over; a thing without a colour is none of this world.
    """
    said: Counter[str] = Counter()
    count, colour = 1, None
    for word in caption.lower().replace(",", " ").split():
        if word in _COUNTS:
            count, colour = _COUNTS[word], None
        elif word in COLOURS:
            colour = word
        elif word in _SHAPES and colour is not None:
            said[object_name(colour, _SHAPES[word])] += count
            count, colour = 1, None
    return said
