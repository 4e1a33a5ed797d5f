"""Every word that a caption may use, and the phrases they come in."""

from models.data.world.names import COLOURS, MATERIALS, SHAPES, TABLES

NUMBERS = (
    *("no", "one", "two", "three", "four", "five", "six", "seven", "eight"),
    *("nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
)

_IRREGULAR = {"torus": "tori"}
PLURALS = {shape: _IRREGULAR.get(shape, f"{shape}s") for shape in SHAPES}

# As the camera sees it.
LEFT, RIGHT = "to the left of", "to the right of"
FRONT, BEHIND = "in front of", "behind"
BESIDE, NEAR = "beside", "near"
RELATIONS = (LEFT, RIGHT, FRONT, BEHIND, BESIDE, NEAR)

_TABLE_NOUNS = {"cloth": "a cloth"}
ON_TABLES = tuple(f"on {_TABLE_NOUNS.get(name, f'a {name} table')}" for name in TABLES)
EMPTY = "an empty table"


def _words() -> set[str]:
    phrases = (*NUMBERS[2:], *RELATIONS, *ON_TABLES, EMPTY, "a an and with ,")
    names = (*COLOURS, *MATERIALS, *SHAPES, *PLURALS.values())
    return {word for phrase in (*phrases, *names) for word in phrase.split()}


# The comma is a word of its own.
VOCABULARY = tuple(sorted(_words()))
