"""What a segmenter's classes are called, by their index, and which of them are things."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from exporters.checkpoints.classes import COCO, read_classes
from exporters.errors import CheckpointError

COCO_PANOPTIC: Final = "coco-panoptic"

#: What COCO's panoptic task has beside its 80 things, in its order.
STUFF_FILE: Final = Path(__file__).with_name("coco_stuff.txt")

#: What a line of a file of labels ends in where the label is stuff, behind a tab.
STUFF: Final = "stuff"


@dataclass(frozen=True)
class SegmentClasses:
    """The names of a checkpoint's classes, ∅ left out."""

    labels: tuple[str, ...]
    is_thing: tuple[bool, ...]


def read_segment_classes(source: str) -> SegmentClasses:
    """`coco-panoptic`, or a file with the name of one class a line, in the checkpoint's order.

    Stuff is marked by a tab and `stuff` behind its name.
    """
    if source == COCO_PANOPTIC:
        things = read_classes(COCO).labels
        stuff = tuple(STUFF_FILE.read_text(encoding="utf-8").split())
        return SegmentClasses(things + stuff, (True,) * len(things) + (False,) * len(stuff))
    path = Path(source).expanduser()
    if not path.is_file():
        raise CheckpointError(
            f"no file of labels at {source}; {COCO_PANOPTIC!r} is the one known by name"
        )
    lines = path.read_text(encoding="utf-8").rstrip().splitlines()
    split = [[part.strip() for part in line.partition("\t")] for line in lines]
    labels = tuple(name for name, _, _ in split)
    if strangers := sorted({kind for _, _, kind in split} - {"", STUFF}):
        raise CheckpointError(f"{source}: behind a tab stands {STUFF!r} or nothing: {strangers}")
    if not all(labels) or len(set(labels)) != len(labels):
        raise CheckpointError(f"{source}: labels must be there and differ from one another")
    return SegmentClasses(labels, tuple(kind != STUFF for _, _, kind in split))
