"""The names of everything on the table, in the one order that every file and model uses."""

SHAPES = ("ball", "cube", "cylinder", "cone", "pyramid", "torus", "capsule", "prism")
COLOURS = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "white")
MATERIALS = ("matte", "shiny")
TABLES = ("wooden", "checked", "stone", "tiled", "cloth")
WALLS = ("plaster", "striped", "brick")

STUFF = ("table", "wall")
CLASS_NAMES = STUFF + SHAPES  # semantic ids: 0 table, 1 wall, 2 + i the shape SHAPES[i]


def object_name(colour: str, shape: str) -> str:
    """What a person would call it: "red ball"."""
    if colour not in COLOURS or shape not in SHAPES:
        raise ValueError(f"no such object: colour {colour!r}, shape {shape!r}")
    return f"{colour} {shape}"


# The classifier's labels: index = SHAPES.index(shape) * len(COLOURS) + COLOURS.index(colour).
OBJECT_NAMES = tuple(object_name(colour, shape) for shape in SHAPES for colour in COLOURS)
